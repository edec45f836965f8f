"""Does to a text what a trace's strokes do to the draft."""

from forefill_client.keystrokes import StrokeKind, Trace


def replayed(trace: Trace) -> str:
    """Return the draft in the end, checking each stroke's own account of it."""
    draft = ""
    for stroke in trace:
        match stroke.kind:
            case StrokeKind.TYPE:
                draft += stroke.text
            case StrokeKind.DELETE:
                draft = draft[:-1]
            case StrokeKind.REPLACE:
                draft = draft[: stroke.start] + stroke.text + draft[stroke.end :]
        assert stroke.draft == draft
    return draft
