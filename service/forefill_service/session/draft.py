"""The text in the user's box, its edits and its checksum. Positions are code points."""

import zlib
from dataclasses import dataclass, field

from ..errors import Reason, Refusal
from .events import CharAdd, CharDelete, Edit, Replace

STEP = 4096
"""Code points between two that are kept of the checksums of a text's beginnings."""


def edited(text: str, edit: Edit) -> tuple[str, int]:
    """Return the text after an edit and the first position that may have changed.

    Raises Refusal(POSITION_OUT_OF_RANGE) if a Replace lies outside the text.
    """
    match edit:
        case CharAdd(added):
            return text + added, len(text)
        case CharDelete(count):
            kept = max(0, len(text) - count)
            return text[:kept], kept
        case Replace(start, end, new):
            if not start <= end <= len(text):
                raise Refusal(Reason.POSITION_OUT_OF_RANGE)
            return text[:start] + new + text[end:], start


def checksum(text: str) -> int:
    """Return the CRC-32 of the text's UTF-8 bytes, as zlib and PNG compute it."""
    return zlib.crc32(text.encode())


@dataclass(slots=True)
class Checksums:
    """The checksums of a text that is edited, at every `STEP` code points: what is before an edit is not read again."""

    _at: list[int] = field(default_factory=lambda: [0])

    def changed(self, position: int) -> None:
        """Take the text as another one from this position on."""
        del self._at[position // STEP + 1 :]

    def of(self, text: str) -> int:
        """Return `checksum` of the text as it is now."""
        for start in range(self._read, len(text) - STEP + 1, STEP):
            self._at.append(zlib.crc32(text[start : start + STEP].encode(), self._at[-1]))
        return zlib.crc32(text[self._read :].encode(), self._at[-1])

    @property
    def _read(self) -> int:
        return (len(self._at) - 1) * STEP
