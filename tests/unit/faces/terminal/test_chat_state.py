"""The state of a chat: what happens goes in, and what the screen shows is there."""

from forefill_chat.draft_marks import DraftMarks
from forefill_chat.terminal.chat_state import WARMS_SHOWN, ChatState
from forefill_client import PregenerationOutcome, PregenerationUpdate

from tests.support.chat_states import warmed

BEGUN = PregenerationUpdate()


def test_an_edit_takes_back_the_marks_from_its_first_change_on() -> None:
    state = ChatState()
    state.typed("Show me all patients ")
    state.flushed(warmed(16, 1216))
    assert state.marks == DraftMarks(confirmed=20, cached=12)
    state.typed("Show us all patients ")
    assert state.marks == DraftMarks(confirmed=5, cached=5)


def test_an_answer_is_begun_until_the_draft_changes() -> None:
    state = ChatState()
    state.typed("Hi")
    state.guessed(BEGUN)
    assert state.marks.begun
    state.typed("Hi")
    assert state.marks.begun
    state.typed("Hi!")
    assert not state.marks.begun


def test_each_guess_ends_as_used_or_as_wasted() -> None:
    state = ChatState()
    for outcome in PregenerationOutcome:
        state.guessed(BEGUN)
        state.guessed(PregenerationUpdate(outcome))
    assert state.guesses.begun == len(PregenerationOutcome)
    assert (state.guesses.adopted, state.guesses.wasted) == (1, len(PregenerationOutcome) - 1)


def test_a_submit_begins_a_turn_with_an_empty_draft() -> None:
    state = ChatState()
    state.typed("Hi")
    state.guessed(BEGUN)
    turn = state.submitted("Hi")
    assert (state.draft, state.marks, state.last_turn, state.running) == ("", DraftMarks(), turn, True)


def test_only_the_latest_warms_are_kept() -> None:
    state = ChatState()
    for cached in range(WARMS_SHOWN + 2):
        state.flushed(warmed(1, cached))
    assert [result.cached_tokens for result in state.warms] == list(range(2, WARMS_SHOWN + 2))
