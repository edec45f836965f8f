"""The client's copy of the draft, in code points: edits, what is under composition, and how much was flushed."""

import zlib

from .checks import checked_int
from .errors import InvalidRequest
from .texts import checked_text
from .word_ends import RUN, confirmable, ends_word


class Draft:
    """A text under edit. Positions and lengths count code points. A call that raises leaves the text as it was.

    The text that an edit with `composing` brings is under composition until an edit without it.
    """

    def __init__(self, text: str = "") -> None:
        self.text = checked_text(text)
        #: The length that the latest flush confirmed, less the part that was edited since; None: the server decides.
        self.confirmed_code_points: int | None = None
        #: Where the text under composition begins; None if there is none.
        self.composed_from: int | None = None
        self._flushed_code_points = 0

    def add(self, text: str, *, composing: bool = False) -> None:
        """Append to the text."""
        start = len(self.text)
        self.text += checked_text(text)
        self._compose(start, composing=composing)

    def delete(self, count: int) -> int:
        """Remove up to `count` code points from the end, and return how many were removed."""
        if checked_int(count, "count") < 0:
            raise InvalidRequest(f"cannot delete {count} code points: give 0 or more", session_continues=True)
        count = min(count, len(self.text))
        self.text = self.text[: len(self.text) - count]
        self._changed_from(len(self.text))
        self._compose(len(self.text), composing=False)
        return count

    def replace(self, start: int, end: int, text: str, *, composing: bool = False) -> None:
        """Put `text` in place of the code points from `start` to before `end`."""
        if not 0 <= checked_int(start, "start") <= checked_int(end, "end") <= len(self.text):
            raise InvalidRequest(
                f"cannot replace {start} to {end} of {len(self.text)} code points: keep 0 <= start <= end <= length",
                session_continues=True,
            )
        self.text = self.text[:start] + checked_text(text) + self.text[end:]
        self._changed_from(start)
        self._compose(start, composing=composing)

    def checksum(self) -> int:
        """Return the CRC-32 of the text's UTF-8."""
        return zlib.crc32(self.text.encode())

    def flush_is_due(self) -> bool:
        """Return whether a flush would confirm a word, or RUN code points of an unbroken run, that none has covered.

        Text under composition, and what follows it, does not count.
        """
        rest = self.text[self._flushed_code_points : self.composed_from]
        return len(rest) >= 2 * RUN or any(ends_word(char) for char in set(rest))

    def confirm(self, code_points: int | None) -> None:
        """Record that a flush confirms the first `code_points`; None: as many as the server finds in the whole text."""
        if code_points is not None and not 0 <= checked_int(code_points, "confirmed") <= len(self.text):
            raise InvalidRequest(
                f"cannot confirm {code_points} code points of a draft of {len(self.text)}", session_continues=True
            )
        self.confirmed_code_points = code_points
        self._flushed_code_points = confirmable(self.text) if code_points is None else code_points

    def _compose(self, start: int, *, composing: bool) -> None:
        if not composing:
            self.composed_from = None
        elif self.composed_from is None or start < self.composed_from:
            self.composed_from = start

    def _changed_from(self, position: int) -> None:
        self._flushed_code_points = min(self._flushed_code_points, position)
        if self.confirmed_code_points is not None:
            self.confirmed_code_points = min(self.confirmed_code_points, position)


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
