"""Trace files: what was typed, stroke by stroke, in JSONL. This is the format's definition.

    {"format": "forefill-trace", "version": 1}
    {"at_ms": 0, "kind": "type", "text": "S"}
    {"at_ms": 142.6, "kind": "type", "text": "j"}
    {"at_ms": 391.2, "kind": "delete"}
    {"at_ms": 512, "kind": "type", "text": "how me "}
    {"at_ms": 512, "kind": "flush", "confirmed": 8}
    {"at_ms": 2120, "kind": "replace", "start": 5, "end": 7, "text": "us"}
    {"at_ms": 2980.4, "kind": "submit"}

The file is UTF-8, with one JSON object a line. The first line names the format and its version; each line after it is
one stroke of one draft, which is empty at first. Empty lines are skipped, and members that are not named here are
ignored, so that a later version may add some.

| member | of | meaning |
|---|---|---|
| `at_ms` | all | milliseconds since the trace began, 0 or more, never less than in the line before |
| `kind` | all | what was done: see `StrokeKind` |
| `text` | `type`, `replace` | the text that is appended (not empty), or put in |
| `start`, `end` | `replace` | the part that is taken out: from code point `start` to before `end` |
| `confirmed` | `flush` | how many code points of the draft the client confirmed, from its beginning |

`delete` removes the last code point. Nothing follows `submit`; a trace that was broken off has none. FLUSH may be left
out altogether: a session that flushes by itself needs none.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TextIO

from ..checks import as_mapping
from .strokes import Stroke, StrokeKind, Trace

FORMAT: Final = "forefill-trace"
VERSION: Final = 1
TIME_DIGITS: Final = 3
"""Decimals of `at_ms`: times are kept to the microsecond."""
LATEST_MS: Final = 1e12
"""No time of a trace is later: 30 years."""


class TraceError(ValueError):
    """Raised when a text is not a trace; the message names the line and what it should hold."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        """The number of the line, from 1."""


class TraceWriter:
    """Write a trace to a text stream, stroke by stroke, so that what was written before a failure can be read.

    The first line is written at once. Times are rounded to the microsecond. Open a file as UTF-8.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._write({"format": FORMAT, "version": VERSION})

    def write(self, stroke: Stroke) -> None:
        """Write one stroke. Raises OSError, and UnicodeEncodeError for a lone surrogate."""
        values = {"text": stroke.text, "start": stroke.start, "end": stroke.end, "confirmed": stroke.confirmed}
        members = {name: values[name] for name in _MEMBERS[stroke.kind]}
        self._write({"at_ms": round(stroke.at_ms, TIME_DIGITS), "kind": stroke.kind.value, **members})

    def _write(self, members: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps(members, ensure_ascii=False) + "\n")
        self._stream.flush()


def write_trace(path: str | os.PathLike[str], trace: Iterable[Stroke]) -> None:
    """Write a trace to a file. Raises OSError."""
    with Path(path).open("w", encoding="utf-8") as file:
        writer = TraceWriter(file)
        for stroke in trace:
            writer.write(stroke)


def read_trace(path: str | os.PathLike[str]) -> Trace:
    """Read a trace from a file.

    Raises:
        OSError: The file cannot be read.
        UnicodeDecodeError: It is not UTF-8.
        TraceError: It is no trace.
    """
    return parse_trace(Path(path).read_text(encoding="utf-8-sig").split("\n"))


def parse_trace(lines: Iterable[str]) -> Trace:
    """Return the trace that lines of text hold. Raises TraceError."""
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    number, header = next(numbered, (1, ""))
    _check_header(number, header)
    return tuple(_strokes(numbered))


def _check_header(number: int, line: str) -> None:
    wanted = f'{{"format": "{FORMAT}", "version": {VERSION}}}'
    try:
        header = as_mapping(json.loads(line))
    except (ValueError, RecursionError):
        header = None
    if header is None or header.get("format") != FORMAT:
        raise TraceError(number, f"this is not a trace: its first line must be {wanted}")
    if header.get("version") != VERSION:
        raise TraceError(number, f"version {header.get('version')!r} is not known: it must be {VERSION}")


def _strokes(numbered: Iterable[tuple[int, str]]) -> Iterator[Stroke]:
    last = Stroke(0.0, StrokeKind.TYPE, "")
    for number, line in numbered:
        if last.kind is StrokeKind.SUBMIT:
            raise TraceError(number, "nothing may follow a submit: begin another file for another draft")
        try:
            last = _stroke(line, last)
        except ValueError as error:
            raise TraceError(number, str(error)) from None
        yield last


def _stroke(line: str, last: Stroke) -> Stroke:
    members = _object(line)
    at_ms, kind = _time(members, last.at_ms), _kind(members)
    found = {name: _CHECKS[name](members, last.draft) for name in _MEMBERS[kind]}
    if "start" in found and found["start"] > found["end"]:
        raise ValueError(f"start is {found['start']} and end is {found['end']}: give start <= end")
    return Stroke(at_ms, kind, _after(kind, last.draft, found), **found)


def _after(kind: StrokeKind, draft: str, members: Mapping[str, Any]) -> str:
    match kind:
        case StrokeKind.TYPE:
            if not members["text"]:
                raise ValueError("text is empty: give what was typed")
            return draft + str(members["text"])
        case StrokeKind.DELETE:
            if not draft:
                raise ValueError("there is nothing to delete: the draft is empty")
            return draft[:-1]
        case StrokeKind.REPLACE:
            return draft[: members["start"]] + str(members["text"]) + draft[members["end"] :]
        case _:
            return draft


def _object(line: str) -> Mapping[str, Any]:
    try:
        members = as_mapping(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is not JSON: {error}") from None
    if members is None:
        raise ValueError("give a JSON object for each stroke")
    return members


def _time(members: Mapping[str, Any], least_ms: float) -> float:
    at_ms = members.get("at_ms")
    if isinstance(at_ms, bool) or not isinstance(at_ms, int | float) or not least_ms <= at_ms <= LATEST_MS:
        raise ValueError(f"at_ms is {at_ms!r}: give milliseconds since the draft was begun, at least {least_ms:.15g}")
    return float(at_ms)


def _kind(members: Mapping[str, Any]) -> StrokeKind:
    try:
        return StrokeKind(members.get("kind"))
    except ValueError:
        known = ", ".join(kind.value for kind in StrokeKind)
        raise ValueError(f"kind is {members.get('kind')!r}: give one of {known}") from None


def _text(members: Mapping[str, Any], _: str) -> str:
    text = members.get("text")
    if not isinstance(text, str):
        raise ValueError(f"text is {text!r}: give a text")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("text holds a lone surrogate: write the whole character")
    return text


def _position(name: str) -> Callable[[Mapping[str, Any], str], int]:
    def position(members: Mapping[str, Any], draft: str) -> int:
        value = members.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= len(draft):
            raise ValueError(f"{name} is {value!r}: give a number of code points from 0 to {len(draft)}, the draft's")
        return value

    return position


_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Any]]] = MappingProxyType(
    {"text": _text, **{name: _position(name) for name in ("start", "end", "confirmed")}}
)
_MEMBERS: Final[Mapping[StrokeKind, tuple[str, ...]]] = MappingProxyType(
    {
        StrokeKind.TYPE: ("text",),
        StrokeKind.DELETE: (),
        StrokeKind.REPLACE: ("start", "end", "text"),
        StrokeKind.FLUSH: ("confirmed",),
        StrokeKind.SUBMIT: (),
    }
)
"""The members of each kind of stroke, beside `at_ms` and `kind`."""
