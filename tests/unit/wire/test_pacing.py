"""How fast events are taken in: a session's rate, its caller's rate, and what counts for many."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest
from forefill_service.access.caller import ANYBODY, Caller
from forefill_service.fleet.shares import Shares
from forefill_service.fleet.turns import PASSES
from forefill_service.session.events import (
    Cancel,
    CharAdd,
    Flush,
    HandOff,
    KeystrokeEvent,
    Open,
    Replace,
    Respond,
    Rewrite,
    Submit,
)
from forefill_service.settings import Settings
from forefill_service.wire.pacing import BURST_SECONDS, COSTLY, FLUSH_TURNS, LONG, paced

from tests.support.hand_clock import HandClock

KEY, ENTER = CharAdd("a"), Submit("a")


class World:
    """A clock that sleep moves, the shares of callers on it, and what was waited for."""

    def __init__(self, **limits: float) -> None:
        self.settings = Settings(**limits)
        self.clock = HandClock()
        self.shares = Shares.of(self.settings, self.clock)
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.now += seconds

    async def take(self, kinds: Sequence[Any], caller: Caller = ANYBODY) -> list[Any]:
        """Take in the events of one session."""

        async def events() -> AsyncIterator[Any]:
            for seq, kind in enumerate(kinds, 1):
                yield KeystrokeEvent(seq, kind)

        backend: Any = self
        taken: list[Any] = [event async for event in paced(events(), self.shares.share(caller), backend)]
        return [event.kind for event in taken]


async def test_a_session_has_its_rate_after_ten_seconds_worth_at_once() -> None:
    world = World(events_per_second=10)
    at_once = 10 * BURST_SECONDS
    assert await world.take([KEY] * (at_once + 3)) == [KEY] * (at_once + 3), "all are taken"
    assert world.waits == pytest.approx([0.1] * 3)


@pytest.mark.parametrize("kind", [ENTER, Respond(), HandOff(), Rewrite(0, ())], ids=lambda kind: type(kind).__name__)
async def test_what_has_an_answer_made_or_a_conversation_rendered_counts_as_many(kind: Any) -> None:
    world = World(events_per_second=COSTLY)
    await world.take([kind] * (BURST_SECONDS + 2))
    assert world.waits == pytest.approx([1.0] * 2)


@pytest.mark.parametrize("kind", [KEY, Flush(0, 0), Cancel(keep_text=True)], ids=lambda kind: type(kind).__name__)
async def test_anything_else_counts_as_one(kind: Any) -> None:
    world = World(events_per_second=COSTLY)
    await world.take([kind] * COSTLY * BURST_SECONDS)
    assert world.waits == []


@pytest.mark.parametrize(
    "kind",
    [Flush(10 * LONG, 0), CharAdd("a" * 10 * LONG), Replace(0, 5, "a" * 10 * LONG)],
    ids=lambda kind: type(kind).__name__,
)
async def test_a_flush_of_a_long_draft_and_a_long_text_count_as_one_more_for_each_1024_code_points(kind: Any) -> None:
    world = World(events_per_second=11)
    await world.take([kind] * (BURST_SECONDS + 2))
    assert world.waits == pytest.approx([1.0] * 2)


async def test_a_flush_of_a_draft_that_nobody_can_have_counts_no_more_than_a_submit() -> None:
    world = World(events_per_second=COSTLY)
    await world.take([Flush(2**32 - 1, 0)] * (BURST_SECONDS + 2))
    assert world.waits == pytest.approx([1.0] * 2)


async def test_the_sessions_of_a_caller_share_its_rate_and_those_of_another_do_not_wait() -> None:
    world = World(events_per_second_per_caller=100)
    for _ in range(10):
        await world.take([KEY] * 10, Caller("ada"))
    assert world.waits == [], "a second's worth at once"
    await world.take([KEY] * 10, Caller("bob"))
    assert world.waits == []
    await world.take([KEY] * 2, Caller("ada"))
    assert world.waits == pytest.approx([0.01] * 2)


async def test_the_longer_wait_counts_and_not_both() -> None:
    world = World(events_per_second=1, events_per_second_per_caller=2)
    await world.take([KEY] * 40, Caller("ada"))
    assert world.waits[0] == pytest.approx(0.5), "the caller's second's worth is used up first"
    assert world.waits[-1] == pytest.approx(1), "then the session's ten"
    assert max(world.waits) == pytest.approx(1)


async def test_callers_that_nobody_tells_apart_share_no_rate() -> None:
    world = World(events_per_second_per_caller=1)
    for _ in range(10):
        await world.take([KEY] * 10)
    assert world.waits == []


@pytest.mark.parametrize(
    ("caller", "event", "passes"),
    [
        (Caller("ada"), Open(), 8),
        (ANYBODY, KeystrokeEvent(1, KEY), 1),
        (ANYBODY, KeystrokeEvent(1, Flush(LONG, 0)), 8),
        (ANYBODY, KeystrokeEvent(1, ENTER), 8),
    ],
    ids=["anything of a caller", "a key of anybody", "a long flush of anybody", "a submit of anybody"],
)
async def test_events_of_several_sessions_begin_in_as_many_passes_of_the_loop(
    caller: Caller, event: Any, passes: int
) -> None:
    world, current, begun = World(), 0, []

    async def count() -> None:
        nonlocal current
        while True:
            current += 1
            await asyncio.sleep(0)

    async def session() -> None:
        async def events() -> AsyncIterator[Any]:
            yield event

        backend: Any = world
        async for _ in paced(events(), world.shares.share(caller), backend):
            begun.append(current)

    counting = asyncio.create_task(count())
    await asyncio.gather(*(session() for _ in range(8)))
    counting.cancel()
    assert len(set(begun)) == passes


@pytest.mark.parametrize("others", [True, False], ids=["others are there", "nobody else is there"])
@pytest.mark.parametrize(("kind", "turns"), [(KEY, 1), (Flush(3, 0), FLUSH_TURNS)], ids=["keys", "flushes"])
async def test_between_two_events_of_a_caller_there_are_passes_of_others_more_of_them_after_a_flush(
    kind: Any, turns: int, others: bool
) -> None:
    world, current, begun = World(), 0, list[int]()

    async def count() -> None:
        nonlocal current
        while True:
            current += 1
            await asyncio.sleep(0)

    async def events() -> AsyncIterator[Any]:
        yield KeystrokeEvent(1, kind)

    async def session() -> None:
        backend: Any = world
        async for _ in paced(events(), world.shares.share(Caller("ada")), backend):
            begun.append(current)

    counting = asyncio.create_task(count())
    with ExitStack() as present:
        for name in ("ada", "bob") if others else ("ada",):
            present.enter_context(world.shares.session(Caller(name)))
        await asyncio.gather(*(session() for _ in range(5)))
    counting.cancel()
    apart = [later - earlier for earlier, later in pairwise(begun[1:])]  # the first does not wait
    assert apart == [turns * PASSES if others else 1] * 3
