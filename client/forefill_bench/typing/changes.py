"""Makes a script of a draft's contents, one after the other: pure.

Each content becomes the stroke that leads to it (a text appended, a deletion at the end, a replacement anywhere), and
a FLUSH follows where a session of the SDK flushes by itself.
"""

from forefill_client.draft import smallest_replace
from forefill_client.keystrokes import FlushRule
from forefill_client.keystrokes.boundaries import confirmable_by, flush_is_due

from .script import Kind, Script, Stroke


class Changes:
    """The strokes so far; times are in milliseconds since the script began."""

    def __init__(self) -> None:
        self._strokes: list[Stroke] = []
        self._draft = ""
        self._confirmed = 0

    @property
    def draft(self) -> str:
        """The draft after the strokes so far."""
        return self._draft

    def to(self, draft: str, at_ms: float) -> None:
        """Make this the draft; nothing happens if it is already."""
        before, self._draft = self._draft, draft
        if draft == before:
            return
        self._strokes.append(_stroke(before, draft, at_ms))
        if len(draft) < self._confirmed or not draft.startswith(before[: self._confirmed]):
            self._confirmed = confirmable_by(FlushRule.WORD, draft)
        if flush_is_due(FlushRule.WORD, draft, self._confirmed):
            self._confirmed = confirmable_by(FlushRule.WORD, draft)
            self._strokes.append(Stroke(at_ms, Kind.FLUSH, draft))

    def submitted(self, at_ms: float) -> Script:
        """Press Enter, and return the script."""
        return (*self._strokes, Stroke(at_ms, Kind.SUBMIT, self._draft))


def _stroke(before: str, draft: str, at_ms: float) -> Stroke:
    if draft.startswith(before):
        return Stroke(at_ms, Kind.TYPE, draft, draft[len(before) :])
    if draft == before[:-1]:
        return Stroke(at_ms, Kind.DELETE, draft)
    start, end, text = smallest_replace(before, draft)
    return Stroke(at_ms, Kind.REPLACE, draft, text, start, end)
