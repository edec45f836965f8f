"""The text in the user's box: its edits, its checksum, and what of it is confirmed. Positions are code points."""

import zlib
from dataclasses import dataclass, field

from ..errors import Reason, Refusal
from .boundary import Client, confirmable, settled
from .events import CharAdd, CharDelete, Edit, Flush, Replace

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


@dataclass(slots=True)
class Draft:
    """The server's copy of a session's draft, and what the edits have shown of the client.

    A method that raises Refusal leaves it as it was.
    """

    max_code_points: int
    text: str = ""
    confirmed_code_points: int = 0
    client: Client = Client.UNKNOWN
    _checksums: Checksums = field(default_factory=Checksums)

    @property
    def confirmed(self) -> str:
        """The confirmed part."""
        return self.text[: self.confirmed_code_points]

    @property
    def composed_code_points(self) -> int:
        """Code points at the end that may be under composition."""
        return len(self.text) - settled(self.text, self.client)

    def open(self, text: str) -> None:
        """Take the text that a stream opens with, confirmed as a FLUSH would."""
        self._become(self._fitting(text))
        self.confirmed_code_points = confirmable(text)

    def edit(self, edit: Edit) -> None:
        """Edit it; what is confirmed ends where the edit begins, or before."""
        text, changed_from = edited(self.text, edit)
        self._fitting(text)
        self.client = self.client.after(self.text, edit)
        self._become(text, changed_from)
        self.confirmed_code_points = min(self.confirmed_code_points, changed_from)

    def flush(self, flush: Flush) -> None:
        """Confirm what a FLUSH says, if the client has the same draft."""
        if flush.draft_code_points != len(self.text) or flush.draft_crc32 != self._checksums.of(self.text):
            raise Refusal(Reason.DRAFT_DIVERGED)
        confirmed = flush.confirmed_code_points
        if confirmed is None:
            confirmed = max(self.confirmed_code_points, confirmable(self.text, self.client))
        elif confirmed > len(self.text):
            raise Refusal(Reason.POSITION_OUT_OF_RANGE)
        self.confirmed_code_points = confirmed

    def enter(self, text: str | None) -> str:
        """Return what is submitted: this text, or else the draft. The draft is empty then."""
        submitted = self._fitting(self.text if text is None else text)
        if not submitted:
            raise Refusal(Reason.EMPTY_SUBMIT)
        self._become("")
        self.confirmed_code_points = 0
        return submitted

    def take_back(self, submitted: str) -> None:
        """Become what was submitted, of which nothing is confirmed."""
        self._become(submitted)

    def _fitting(self, text: str) -> str:
        if len(text) > self.max_code_points:
            raise Refusal(Reason.DRAFT_TOO_LONG)
        return text

    def _become(self, text: str, changed_from: int = 0) -> None:
        self.text = text
        self._checksums.changed(changed_from)
