"""Trace files: what is written is read, and what is wrong is named by its line."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from forefill_client.keystrokes import (
    Stroke,
    StrokeKind,
    Trace,
    TraceError,
    TraceWriter,
    parse_trace,
    read_trace,
    write_trace,
)
from forefill_client.keystrokes import trace as trace_module
from hypothesis import given
from hypothesis import strategies as st

from tests.support.traces import CONTENTS, recorded

HEADER = '{"format": "forefill-trace", "version": 1}'


def to_the_microsecond(trace: Trace) -> list[tuple[float, str, StrokeKind, int]]:
    return [(round(stroke.at_ms, 3), stroke.draft, stroke.kind, stroke.confirmed) for stroke in trace]


@given(CONTENTS, st.booleans())
def test_what_is_written_is_read_with_its_drafts_and_times(contents: list[tuple[str, float]], submit: bool) -> None:
    trace = recorded(contents, submit=submit)
    stream = io.StringIO()
    writer = TraceWriter(stream)
    for stroke in trace:
        writer.write(stroke)
    assert to_the_microsecond(parse_trace(stream.getvalue().split("\n"))) == to_the_microsecond(trace)


def test_a_file_is_one_json_object_a_line_with_only_what_a_stroke_has(tmp_path: Path) -> None:
    trace = recorded([("S", 0), ("Sj", 142.6), ("S", 248.6), ("Show me ", 120.8), ("Show us ", 1608), ("Show us", 0)])
    write_trace(tmp_path / "t.jsonl", trace)
    assert (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines() == [
        HEADER,
        '{"at_ms": 0.0, "kind": "type", "text": "S"}',
        '{"at_ms": 142.6, "kind": "type", "text": "j"}',
        '{"at_ms": 391.2, "kind": "delete"}',
        '{"at_ms": 512.0, "kind": "type", "text": "how me "}',
        '{"at_ms": 512.0, "kind": "flush", "confirmed": 8}',
        '{"at_ms": 2120.0, "kind": "replace", "start": 5, "end": 7, "text": "us"}',
        '{"at_ms": 2120.0, "kind": "flush", "confirmed": 8}',
        '{"at_ms": 2120.0, "kind": "delete"}',
        '{"at_ms": 2121.0, "kind": "submit"}',
    ]
    assert to_the_microsecond(read_trace(tmp_path / "t.jsonl")) == to_the_microsecond(trace)


def test_the_example_of_the_documentation_is_a_trace() -> None:
    documented = [line.strip() for line in (trace_module.__doc__ or "").splitlines() if line.startswith("    {")]
    trace = parse_trace(documented)
    assert len(trace) == 7
    assert trace[-1] == Stroke(2980.4, StrokeKind.SUBMIT, "Show us ")


def test_text_that_is_not_ascii_stays_readable_in_the_file(tmp_path: Path) -> None:
    write_trace(tmp_path / "t.jsonl", recorded([("患者 👨‍👩‍👧 é", 0)]))
    assert "患者 👨‍👩‍👧 é" in (tmp_path / "t.jsonl").read_text(encoding="utf-8")
    assert read_trace(tmp_path / "t.jsonl")[0].draft == "患者 👨‍👩‍👧 é"


def test_empty_lines_other_members_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    lines = [HEADER.replace("}", ', "user": 7}'), "", '{"at_ms": 0, "kind": "type", "text": "a", "key": "KeyA"}', ""]
    (tmp_path / "t.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert read_trace(tmp_path / "t.jsonl") == (Stroke(0.0, StrokeKind.TYPE, "a", "a"),)


def test_what_was_written_before_a_failure_can_be_read(tmp_path: Path) -> None:
    with (tmp_path / "t.jsonl").open("w", encoding="utf-8") as file:
        writer = TraceWriter(file)
        writer.write(Stroke(0.0, StrokeKind.TYPE, "a", "a"))
        assert read_trace(tmp_path / "t.jsonl") == (Stroke(0.0, StrokeKind.TYPE, "a", "a"),)


@pytest.mark.parametrize(
    ("lines", "number", "complaint"),
    [
        ([], 1, "this is not a trace: its first line must be"),
        (["", "\n"], 1, "this is not a trace"),
        (['{"at_ms": 0, "kind": "submit"}'], 1, "this is not a trace"),
        (["", "[1]"], 2, "this is not a trace"),
        (["[" * 100_000], 1, "this is not a trace"),
        ([HEADER.replace("1", "2")], 1, "version 2 is not known: it must be 1"),
        (['{"format": "forefill-trace"}'], 1, "version None is not known"),
    ],
)
def test_what_is_no_trace_is_refused_at_its_first_line(lines: list[str], number: int, complaint: str) -> None:
    with pytest.raises(TraceError, match=f"^line {number}: {complaint}") as caught:
        parse_trace(lines)
    assert caught.value.line == number


TYPED = {"at_ms": 10, "kind": "type", "text": "ab"}


@pytest.mark.parametrize(
    ("stroke", "complaint"),
    [
        ("{", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ("7", "give a JSON object for each stroke"),
        ({**TYPED, "at_ms": 9.9}, r"at_ms is 9\.9: .*, at least 10"),
        ({**TYPED, "at_ms": None}, "at_ms is None"),
        ({**TYPED, "at_ms": True}, "at_ms is True"),
        ({**TYPED, "at_ms": float("nan")}, "at_ms is nan"),
        ({**TYPED, "at_ms": float("inf")}, "at_ms is inf"),
        ({**TYPED, "at_ms": 10**300}, "at_ms is 1000"),
        ({"at_ms": 10, "text": "a"}, "kind is None: give one of type, delete, replace, flush, submit"),
        ({**TYPED, "kind": "TYPE"}, "kind is 'TYPE'"),
        ({**TYPED, "kind": ["type"]}, "kind is"),
        ({**TYPED, "text": ""}, "text is empty: give what was typed"),
        ({**TYPED, "text": None}, "text is None: give a text"),
        ({**TYPED, "text": "\ud800"}, "text holds a lone surrogate"),
        ({"at_ms": 10, "kind": "replace", "start": 0, "end": 3, "text": ""}, "end is 3: give .* from 0 to 2"),
        ({"at_ms": 10, "kind": "replace", "start": 2, "end": 1, "text": ""}, "start is 2 and end is 1"),
        ({"at_ms": 10, "kind": "replace", "start": -1, "end": 1, "text": ""}, "start is -1"),
        ({"at_ms": 10, "kind": "replace", "start": 0.0, "end": 1, "text": ""}, r"start is 0\.0"),
        ({"at_ms": 10, "kind": "replace", "start": 0, "end": 1}, "text is None"),
        ({"at_ms": 10, "kind": "flush"}, "confirmed is None"),
        ({"at_ms": 10, "kind": "flush", "confirmed": 3}, "confirmed is 3: give a number of code points from 0 to 2"),
    ],
)
def test_a_stroke_that_is_wrong_is_named_by_its_line(stroke: str | dict[str, Any], complaint: str) -> None:
    line = stroke if isinstance(stroke, str) else json.dumps(stroke)
    with pytest.raises(TraceError, match=f"^line 4: .*{complaint}") as caught:
        parse_trace([HEADER, json.dumps(TYPED), "", line])
    assert caught.value.line == 4


def test_nothing_can_be_deleted_from_an_empty_draft() -> None:
    with pytest.raises(TraceError, match="line 2: there is nothing to delete"):
        parse_trace([HEADER, '{"at_ms": 0, "kind": "delete"}'])


def test_nothing_follows_submit() -> None:
    submit = '{"at_ms": 10, "kind": "submit"}'
    with pytest.raises(TraceError, match="line 4: nothing may follow a submit"):
        parse_trace([HEADER, json.dumps(TYPED), submit, submit])


@given(st.lists(st.text(max_size=40) | st.sampled_from([HEADER, json.dumps(TYPED), "{}", '{"kind": "delete"}'])))
def test_any_lines_are_a_trace_or_refused_by_a_trace_error(lines: list[str]) -> None:
    with contextlib.suppress(TraceError):
        parse_trace([HEADER, *lines])
