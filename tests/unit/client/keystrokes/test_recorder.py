"""Traces made of a draft's contents."""

from forefill_client.keystrokes import StrokeKind, Trace, TraceRecorder

from tests.support.replaying import replayed


def trace(*drafts: str) -> Trace:
    recorder = TraceRecorder()
    for index, draft in enumerate(drafts):
        recorder.change(draft, 10.0 * index)
    return recorder.submit(10.0 * len(drafts))


def test_each_content_is_the_stroke_that_leads_to_it() -> None:
    kinds = [stroke.kind for stroke in trace("a", "ab", "a", "ax", "bx")]
    assert kinds == [
        StrokeKind.TYPE,
        StrokeKind.TYPE,
        StrokeKind.DELETE,
        StrokeKind.TYPE,
        StrokeKind.REPLACE,
        StrokeKind.SUBMIT,
    ]


def test_the_strokes_lead_to_the_last_content() -> None:
    assert replayed(trace("w", "wo", "word", "wrd", "wod", "", "all else, pasted", "all")) == "all"


def test_a_content_that_is_there_already_is_no_stroke() -> None:
    assert len(trace("a", "a")) == 2


def test_a_word_end_is_flushed_once_and_again_after_it_was_deleted() -> None:
    made = trace("a ", "a b", "a ", "a", "a ", "a c ")
    assert [(stroke.at_ms, stroke.confirmed) for stroke in made if stroke.kind is StrokeKind.FLUSH] == [
        (0, 2),
        (40, 2),
        (50, 4),
    ]


def test_an_edit_within_what_was_flushed_is_flushed_again() -> None:
    made = trace("show me ", "show us ", "show us all")
    assert [(stroke.at_ms, stroke.confirmed) for stroke in made if stroke.kind is StrokeKind.FLUSH] == [(0, 8), (10, 8)]


def test_enter_has_the_draft_and_its_own_time() -> None:
    enter = trace("a", "ab")[-1]
    assert (enter.kind, enter.draft, enter.at_ms) == (StrokeKind.SUBMIT, "ab", 20.0)
