"""What is typed, in files."""

from pathlib import Path

from forefill_chat.terminal.turn_traces import TurnTraces
from forefill_client.keystrokes import StrokeKind, read_trace


def test_each_turn_has_a_file_whose_times_begin_at_its_first_key(tmp_path: Path) -> None:
    traces = TurnTraces(tmp_path / "chat.jsonl")
    traces.change("H", 1000)
    traces.change("Hi", 1250)
    traces.submit("Hi", 2000)
    traces.change("", 2001)  # the box is emptied
    traces.change("Go", 5000)
    traces.submit("Go", 5400)
    first, second = read_trace(tmp_path / "chat.jsonl"), read_trace(tmp_path / "chat.2.jsonl")
    assert [(stroke.at_ms, stroke.kind, stroke.draft) for stroke in first] == [
        (0, StrokeKind.TYPE, "H"),
        (250, StrokeKind.TYPE, "Hi"),
        (1000, StrokeKind.SUBMIT, "Hi"),
    ]
    assert [(stroke.at_ms, stroke.kind) for stroke in second] == [(0, StrokeKind.TYPE), (400, StrokeKind.SUBMIT)]


def test_what_was_typed_so_far_can_be_read_at_any_time(tmp_path: Path) -> None:
    traces = TurnTraces(tmp_path / "chat.jsonl")
    traces.change("Show ", 0)
    traces.change("Shw ", 90)
    assert [stroke.draft for stroke in read_trace(tmp_path / "chat.jsonl") if stroke.kind is not StrokeKind.FLUSH] == [
        "Show ",
        "Shw ",
    ]


def test_nothing_typed_leaves_no_file(tmp_path: Path) -> None:
    traces = TurnTraces(tmp_path / "chat.jsonl")
    traces.change("", 0)
    traces.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_before_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "chat.jsonl").write_text("old\n" * 100)
    traces = TurnTraces(tmp_path / "chat.jsonl")
    traces.submit("All at once", 7)
    assert [stroke.draft for stroke in read_trace(tmp_path / "chat.jsonl")][-1] == "All at once"
