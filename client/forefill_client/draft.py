"""The client's copy of the draft, in code points: edits, where its words end, and how much of it was flushed."""

import unicodedata
import zlib
from typing import Final

from .errors import InvalidRequest
from .options import checked_text

APOSTROPHES: Final = frozenset("'\u2019")
"""The typewriter's and the typographer's."""


class Draft:
    """A text under edit. Positions and lengths count code points. A call that raises leaves the text as it was."""

    def __init__(self, text: str = "") -> None:
        self.text = checked_text(text)
        #: The length that the latest flush confirmed, less the part that was edited since; None: the server decides.
        self.confirmed_code_points: int | None = None
        self._flushed_code_points = 0

    def add(self, text: str) -> None:
        """Append to the text."""
        self.text += checked_text(text)

    def delete(self, count: int) -> int:
        """Remove up to `count` code points from the end, and return how many were removed."""
        if count < 0:
            raise InvalidRequest(f"cannot delete {count} code points: give 0 or more", session_continues=True)
        count = min(count, len(self.text))
        self.text = self.text[: len(self.text) - count]
        self._changed_from(len(self.text))
        return count

    def replace(self, start: int, end: int, text: str) -> None:
        """Put `text` in place of the code points from `start` to before `end`."""
        if not 0 <= start <= end <= len(self.text):
            raise InvalidRequest(
                f"cannot replace {start} to {end} of {len(self.text)} code points: keep 0 <= start <= end <= length",
                session_continues=True,
            )
        self.text = self.text[:start] + checked_text(text) + self.text[end:]
        self._changed_from(start)

    def checksum(self) -> int:
        """Return the CRC-32 of the text's UTF-8."""
        return zlib.crc32(self.text.encode())

    def ends_new_word(self) -> bool:
        """Return whether a word ends in the part of the text that no flush has covered since its last edit."""
        return any(ends_word(char) for char in set(self.text[self._flushed_code_points :]))

    def confirm(self, code_points: int | None) -> None:
        """Record that a flush confirms the first `code_points`; None: as many as the server finds in the whole text."""
        if code_points is not None and not 0 <= code_points <= len(self.text):
            raise ValueError(f"cannot confirm {code_points} code points of a draft of {len(self.text)}")
        self.confirmed_code_points = code_points
        self._flushed_code_points = len(self.text) if code_points is None else code_points

    def _changed_from(self, position: int) -> None:
        self._flushed_code_points = min(self._flushed_code_points, position)
        if self.confirmed_code_points is not None:
            self.confirmed_code_points = min(self.confirmed_code_points, position)


def ends_word(char: str) -> bool:
    """Return whether a session that flushes by itself does so after this character.

    It does after white space, after punctuation, and after wide characters: scripts that put no spaces between words
    (Chinese, Japanese) would otherwise never flush. It does not after characters that join words, such as the
    underscore, nor after an apostrophe, which is mostly inside a word (don't, l'eau); if it closes a quotation, the
    next character ends the word anyway.

    The server's rule is the same, except that an apostrophe ends a word there too. So such a flush always confirms
    something new.
    """
    if char.isspace():
        return True
    category = unicodedata.category(char)
    if category.startswith("P"):
        return category != "Pc" and char not in APOSTROPHES
    return unicodedata.east_asian_width(char) in ("W", "F")


def smallest_replace(old: str, new: str) -> tuple[int, int, str]:
    """Return start, end and text of the smallest single replacement that turns `old` into `new`."""
    shorter = min(len(old), len(new))
    start = _common_prefix_length(old, new, shorter)
    tail = _common_prefix_length(old[::-1], new[::-1], shorter - start)
    return start, len(old) - tail, new[start : len(new) - tail]


def _common_prefix_length(one: str, other: str, limit: int) -> int:
    if one[:limit] == other[:limit]:
        return limit
    return next(index for index in range(limit) if one[index] != other[index])
