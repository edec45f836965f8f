"""How much a message may hold, and what a value takes of memory."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from forefill_service.chat.messages import ChatMessage, ToolCall
from forefill_service.serving.content_limits import ContentLimits, held_bytes
from forefill_service.session.events import WarmMode
from forefill_service.settings import Settings

KB, MB = 1024, 1024 * 1024
COUNT = 2000


def test_an_open_may_have_so_many_bytes_for_each_token_of_the_context() -> None:
    limits = ContentLimits.of(Settings(), context_tokens=8192)
    assert limits == ContentLimits(message_bytes=MB, open_bytes=(128 + 128) * KB, held_bytes=512 * KB)
    assert ContentLimits.of(Settings(open_bytes_per_token=1), 8192).open_bytes == (8 + 128) * KB


def test_no_open_may_be_larger_than_any_message() -> None:
    assert ContentLimits.of(Settings(max_message_bytes=4096), 8192).open_bytes == 4096
    assert ContentLimits.of(Settings(), 131_072).open_bytes == MB


def test_a_long_context_has_room_for_its_text_in_memory() -> None:
    assert ContentLimits.of(Settings(), 131_072).held_bytes == 4 * MB


MADE: list[Callable[[int], Any]] = [
    lambda n: {f"key {n}": []},
    lambda n: [{}, n + 1e9, f"{n} \N{GRINNING FACE}"],
    lambda n: ChatMessage(f"role {n}", "x" * 50, tool_calls=(ToolCall(f"{n}", "b" * n, "c"),)),
]


@pytest.mark.parametrize("make", MADE)
def test_what_is_counted_is_at_least_what_it_takes(make: Callable[[int], Any]) -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        made = [make(n) for n in range(COUNT)]
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.9 * taken <= held_bytes(made) <= 3 * taken


def test_what_there_is_one_of_takes_nothing() -> None:
    assert held_bytes((None, True, WarmMode.OFF)) == held_bytes((0, 0, 0)) - 3 * held_bytes(0)


def test_depth_is_no_matter() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert held_bytes(nested) > 100_000 * held_bytes([])
    while nested:  # without recursion
        nested = nested.pop()
