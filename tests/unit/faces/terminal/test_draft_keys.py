"""Strokes of a trace, as edits of a box."""

from forefill_chat.terminal.draft_keys import BoxEdit, box_edit, location
from forefill_client.keystrokes import Stroke, StrokeKind, TraceRecorder
from hypothesis import given
from hypothesis import strategies as st

DRAFTS = st.lists(st.text("ab \n👍", max_size=12), max_size=8)


@given(DRAFTS)
def test_the_edits_of_a_recorded_trace_lead_from_each_draft_to_the_next(drafts: list[str]) -> None:
    recorder = TraceRecorder()
    for at_ms, draft in enumerate(drafts):
        recorder.change(draft, at_ms)
    box = ""
    for stroke in recorder.trace:
        if (edit := box_edit(stroke, box)) is not None:
            box = box[: edit.start] + edit.text + box[edit.end :]
        assert box == stroke.draft
    assert box == (drafts[-1] if drafts else "")


def test_a_stroke_that_does_not_fit_the_box_stays_inside_it() -> None:
    assert box_edit(Stroke(0, StrokeKind.REPLACE, "", "x", start=5, end=9), "ab") == BoxEdit(2, 2, "x")
    assert box_edit(Stroke(0, StrokeKind.DELETE, ""), "") == BoxEdit(0, 0, "")


def test_flush_and_submit_change_nothing() -> None:
    assert box_edit(Stroke(0, StrokeKind.FLUSH, "ab", confirmed=1), "ab") is None
    assert box_edit(Stroke(0, StrokeKind.SUBMIT, "ab"), "ab") is None


def test_locations_count_rows_and_columns_from_0() -> None:
    text = "ab\n\ncde"
    assert [location(text, position) for position in range(len(text) + 1)] == [
        *((0, 0), (0, 1), (0, 2)),
        (1, 0),
        *((2, 0), (2, 1), (2, 2), (2, 3)),
    ]
