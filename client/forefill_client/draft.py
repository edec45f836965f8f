"""The client's copy of the user's box: its text in code points, and how much of it was flushed."""

import zlib

from .errors import InvalidRequest
from .keystrokes.boundaries import ends_word
from .options import checked_text


class Draft:
    """A text under edit. Positions and lengths count code points; what is refused leaves the text as it was."""

    def __init__(self, text: str = "") -> None:
        self.text = checked_text(text)
        #: How much the latest flush asked to confirm, less what edits have cut into since; None: what the server finds.
        self.confirmed_code_points: int | None = None
        self._flushed_code_points = 0

    def add(self, text: str) -> None:
        """Append."""
        self.text += checked_text(text)

    def delete(self, count: int) -> int:
        """Remove from the end at most `count` code points, and return how many there were to remove."""
        if count < 0:
            raise InvalidRequest(f"cannot delete {count} code points: count from 0", session_continues=True)
        count = min(count, len(self.text))
        self.text = self.text[: len(self.text) - count]
        self._changed_from(len(self.text))
        return count

    def replace(self, start: int, end: int, text: str) -> None:
        """Put `text` in place of the code points from `start` to before `end`."""
        if not 0 <= start <= end <= len(self.text):
            raise InvalidRequest(
                f"cannot replace {start} to {end} in {len(self.text)} code points: 0 <= start <= end <= length",
                session_continues=True,
            )
        self.text = self.text[:start] + checked_text(text) + self.text[end:]
        self._changed_from(start)

    def checksum(self) -> int:
        """Return the CRC-32 of the text in UTF-8."""
        return zlib.crc32(self.text.encode())

    def ends_new_word(self) -> bool:
        """Whether a word ends in what no flush has covered as it stands now."""
        return any(ends_word(char) for char in set(self.text[self._flushed_code_points :]))

    def confirm(self, code_points: int | None) -> None:
        """Note that a flush confirms so many code points; None: what the server finds in all of them."""
        if code_points is not None and not 0 <= code_points <= len(self.text):
            raise ValueError(f"cannot confirm {code_points} of a draft of {len(self.text)} code points")
        self.confirmed_code_points = code_points
        self._flushed_code_points = len(self.text) if code_points is None else code_points

    def _changed_from(self, position: int) -> None:
        self._flushed_code_points = min(self._flushed_code_points, position)
        if self.confirmed_code_points is not None:
            self.confirmed_code_points = min(self.confirmed_code_points, position)


def smallest_replace(old: str, new: str) -> tuple[int, int, str]:
    """Return start, end and text of the smallest one replacement that makes `new` of `old`."""
    shorter = min(len(old), len(new))
    start = _common(old, new, shorter)
    tail = _common(old[::-1], new[::-1], shorter - start)
    return start, len(old) - tail, new[start : len(new) - tail]


def _common(one: str, other: str, limit: int) -> int:
    """Return how many leading code points two texts share, at most `limit`."""
    if one[:limit] == other[:limit]:
        return limit
    return next(index for index in range(limit) if one[index] != other[index])
