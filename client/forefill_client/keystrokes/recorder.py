"""Makes a trace of what a text box holds, one content after the other: pure.

Each content becomes the stroke that leads to it (a text appended, a deletion at the end, a replacement anywhere), and
a FLUSH follows where a session of the SDK flushes by itself.
"""

from ..draft import smallest_replace
from .boundaries import confirmable_by, flush_is_due
from .strokes import Stroke, StrokeKind, Trace
from .typing_model import FlushRule


class TraceRecorder:
    """Record the contents of a text box with their times, in milliseconds since the first one.

    Call `change` for each content, whatever the editor did, and `submit` for Enter.
    """

    def __init__(self) -> None:
        self._strokes: list[Stroke] = []
        self._draft = ""
        self._confirmed = 0

    @property
    def draft(self) -> str:
        """The draft after the strokes so far."""
        return self._draft

    @property
    def trace(self) -> Trace:
        """The strokes so far."""
        return tuple(self._strokes)

    def change(self, draft: str, at_ms: float) -> None:
        """Make this the draft; nothing happens if it is already."""
        before, self._draft = self._draft, draft
        if draft == before:
            return
        self._strokes.append(_stroke(before, draft, at_ms))
        kept, _, _ = smallest_replace(before, draft)
        if kept < self._confirmed:
            self._confirmed = confirmable_by(FlushRule.WORD, draft[:kept])
        if flush_is_due(FlushRule.WORD, draft, self._confirmed):
            self._confirmed = confirmable_by(FlushRule.WORD, draft)
            self._strokes.append(Stroke(at_ms, StrokeKind.FLUSH, draft, confirmed=self._confirmed))

    def submit(self, at_ms: float) -> Trace:
        """Press Enter, and return the trace."""
        return (*self._strokes, Stroke(at_ms, StrokeKind.SUBMIT, self._draft))


def _stroke(before: str, draft: str, at_ms: float) -> Stroke:
    if draft.startswith(before):
        return Stroke(at_ms, StrokeKind.TYPE, draft, draft[len(before) :])
    if draft == before[:-1]:
        return Stroke(at_ms, StrokeKind.DELETE, draft)
    start, end, text = smallest_replace(before, draft)
    return Stroke(at_ms, StrokeKind.REPLACE, draft, text, start, end)
