"""The side bar, in text."""

import pytest
from forefill_chat.terminal.chat_state import ChatState, Link
from forefill_chat.terminal.side_bar_text import sections, status
from forefill_client import FlushOutcome, ShedReason
from forefill_client.outcomes import FlushOutcome as EveryOutcome

from tests.support.chat_states import in_the_middle, warmed


def lines(state: ChatState, heading: str) -> list[str]:
    return [line for section in sections(state) if section.heading == heading for line in section.lines]


def test_what_it_says_in_the_middle_of_a_conversation() -> None:
    state = in_the_middle()
    assert [section.heading for section in sections(state)] == [
        *("model", "prompt", "warms", "guesses", "waits", "last answer")
    ]
    assert lines(state, "prompt") == ["1,248 of 1,280 tokens cached", "█████████████████████████████████░"]
    assert lines(state, "warms") == ["+32 → 1,248 tokens", "no whole new block, 2 times", "+32 → 1,216 tokens"]
    assert lines(state, "guesses") == ["3 begun · 1 used · 2 wasted"]
    assert lines(state, "waits") == [
        "1. 118 ms, warm",
        "2. 2.1 ms, begun before Enter",
        "   without: 3,397 ms cold,",
        "   305 ms conversation cached",
    ]
    assert lines(state, "last answer")[0] == "The answer was begun before Enter."


def test_before_anything_has_happened_no_section_is_empty() -> None:
    assert all(section.lines for section in sections(ChatState()))
    assert lines(ChatState(), "waits") == lines(ChatState(), "last answer") == []


def test_a_connection_that_is_not_open_is_said_with_its_reason() -> None:
    state = in_the_middle()
    state.linked(Link.RECONNECTING, "The server is shutting down.")
    assert lines(state, "model")[1:] == ["reconnecting", "The server is shutting down."]
    assert status(state).startswith("reconnecting · ")


def test_that_warming_has_no_effect_is_said() -> None:
    state = ChatState(inert_reason="the engine does not cache")
    assert lines(state, "model")[-1] == "Warming has no effect here: the engine does not cache"


@pytest.mark.parametrize("outcome", [outcome for outcome in EveryOutcome if outcome is not FlushOutcome.DEFERRED])
def test_every_outcome_of_a_warm_has_words_of_its_own(outcome: FlushOutcome) -> None:
    state = ChatState()
    state.flushed(warmed(0, 16, outcome))
    [words] = lines(state, "warms")
    assert words
    assert (words == "not done: busy engine") is (outcome is FlushOutcome.SHED)
    assert ShedReason.LOAD.value not in words


def test_a_warm_whose_place_a_later_one_took_is_left_out() -> None:
    state = ChatState()
    state.flushed(warmed(0, 0, FlushOutcome.DEFERRED))
    assert lines(state, "warms") == ["none yet: type a word"]


def test_one_line_has_the_most_of_it() -> None:
    assert status(in_the_middle()) == "SmolLM2-135M-Instruct · 1,248/1,280 cached · 2.1 ms"
    assert status(ChatState()) == "connecting"
