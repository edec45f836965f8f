"""What of a draft is coloured how."""

from forefill_chat.draft_marks import DraftMarks
from forefill_client import FlushOutcome, FlushResult, PregenerationOutcome, PregenerationUpdate


def flushed(confirmed: int, cached: int | None) -> FlushResult:
    return FlushResult(1, confirmed, 40, 32, 8, FlushOutcome.WARMED, cached_code_points=cached)


MARKS = DraftMarks().flushed(flushed(20, 12), 25)


def test_a_flush_says_what_is_confirmed_and_cached() -> None:
    assert DraftMarks(confirmed=20, cached=12) == MARKS


def test_an_edit_takes_back_what_follows_its_position() -> None:
    assert MARKS.edited(25) == MARKS
    assert MARKS.edited(15) == DraftMarks(confirmed=15, cached=12)
    assert MARKS.edited(5) == DraftMarks(confirmed=5, cached=5)


def test_a_result_that_comes_after_the_draft_was_shortened_marks_no_more_than_there_is() -> None:
    assert DraftMarks().flushed(flushed(20, 12), 10) == DraftMarks(confirmed=10, cached=10)


def test_a_deferred_flush_takes_nothing_back() -> None:
    assert MARKS.flushed(flushed(18, None), 25) == MARKS


def test_blocks_that_were_evicted_are_no_longer_marked() -> None:
    assert MARKS.flushed(flushed(20, 4), 25).cached == 4


def test_an_answer_is_begun_until_an_edit_or_its_end() -> None:
    begun = MARKS.guessed(PregenerationUpdate())
    assert begun.begun
    assert not begun.edited(25).begun
    assert not begun.guessed(PregenerationUpdate(PregenerationOutcome.REVOKED, 3, 20.0)).begun
