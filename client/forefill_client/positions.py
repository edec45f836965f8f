"""Positions as editors count them, and the text that an editor's changes make.

forefill counts code points, as Python's strings do. Browsers, Java and the Language Server Protocol count the 16-bit
code units of UTF-16: most emoji are one code point, but two units. `Session.edit_utf16` takes an editor's changes as
they are; the functions here convert positions one by one:

    start = from_utf16(session.draft, event.selectionStart)
    caret = to_utf16(session.draft, len(session.draft))

    for change in params["contentChanges"]:  # of the Language Server Protocol, in its default encoding
        first, last = change["range"]["start"], change["range"]["end"]
        start = from_line(text, first["line"], first["character"])
        end = from_line(text, last["line"], last["character"])
        text = text[:start] + change["text"] + text[end:]
    await session.set_draft(text)

Users count neither: for them a flag, a family or a letter with its accents is one character. `clusters` finds those; it
needs the package `regex`, which the extra `graphemes` installs:

    await session.delete(len(clusters(session.draft)[-1]))

That is for a front end of your own, such as a terminal. Editors differ in what one Backspace removes: take their
changes.
"""

import re
from collections.abc import Iterable
from typing import Final

from .checks import checked_int, checked_iterable
from .errors import InvalidRequest

__all__ = ["Change", "changed", "clusters", "from_line", "from_utf16", "to_utf16"]

Change = tuple[int, int, str]
"""A replacement: position of the first code unit to replace, position after the last one, and the new text."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")


def to_utf16(text: str, position: int) -> int:
    """Return how many UTF-16 code units come before a position of `text` that counts code points.

    Raises InvalidRequest for a position outside the text.
    """
    _check(0 <= checked_int(position, "position") <= len(text), f"{position} is no position in {len(text)} code points")
    return _length(text[:position])


def from_utf16(text: str, position: int) -> int:
    """Return how many code points come before a position of `text` that counts UTF-16 code units.

    Raises InvalidRequest for a position outside the text, or between the two units of one code point.
    """
    units = _length(text)
    _check(0 <= checked_int(position, "position") <= units, f"{position} is no position in {units} UTF-16 code units")
    if units == len(text):
        return position
    code_points = before = 0
    while before < position:
        before += _length(text[code_points])
        code_points += 1
    _check(before == position, f"position {position} is between the two UTF-16 code units of one code point")
    return code_points


def from_line(text: str, line: int, character: int) -> int:
    """Return the position, in code points, of a line and a UTF-16 code unit of it, both counted from 0.

    As the Language Server Protocol has it: lines end with LF, CR or both, and a `character` beyond a line's end means
    the end. Raises InvalidRequest for a line that is not there, or a position between the two units of one code point.
    """
    starts = [0, *(end.end() for end in _LINE_END.finditer(text))]
    _check(0 <= line < len(starts), f"there is no line {line} in {len(starts)} lines")
    start = starts[line]
    end = _LINE_END.search(text, start)
    content = text[start : end.start() if end else len(text)]
    return start + from_utf16(content, min(character, _length(content)))


def changed(text: str, changes: Iterable[Change]) -> str:
    """Return `text` after changes whose positions count UTF-16 code units.

    Each counts in the text that those before it have left. Halves of surrogate pairs that end up side by side are
    joined. Raises InvalidRequest for a position outside the text.
    """
    units = bytearray(text, "utf-16-le", "surrogatepass")
    for change in checked_iterable(changes, "changes"):
        start, end, new = _replacement(change)
        length = len(units) // 2
        _check(
            0 <= start <= end <= length,
            f"cannot replace {start} to {end} of {length} UTF-16 code units: keep 0 <= start <= end <= length",
        )
        units[2 * start : 2 * end] = new.encode("utf-16-le", "surrogatepass")
    return units.decode("utf-16-le", "surrogatepass")


def clusters(text: str) -> list[str]:
    """Return the user-perceived characters of a text, as Unicode delimits them (UAX #29, extended grapheme clusters).

    Raises ImportError without the package `regex`.
    """
    try:
        import regex
    except ImportError:
        raise ImportError("clusters needs the package regex: install it, or forefill's extra 'graphemes'") from None
    found: list[str] = regex.findall(r"\X", text)
    return found


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def _replacement(change: Change) -> Change:
    match change:
        case (int(start), int(end), str(text)):
            return start, end, text
        case _:
            raise InvalidRequest(f"a change is (start, end, text), not {change!r:.80}", session_continues=True)


def _check(holds: bool, complaint: str) -> None:
    if not holds:
        raise InvalidRequest(complaint, session_continues=True)
