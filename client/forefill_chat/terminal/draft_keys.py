"""What a stroke of a trace does in a box that edits text. Pure."""

from dataclasses import dataclass

from forefill_client.keystrokes import Stroke, StrokeKind


@dataclass(frozen=True, slots=True)
class BoxEdit:
    """Put `text` in place of the code points from `start` to before `end`."""

    start: int
    end: int
    text: str


def box_edit(stroke: Stroke, draft: str) -> BoxEdit | None:
    """Return what a stroke does to the draft before it; None if it changes nothing, as FLUSH and SUBMIT."""
    match stroke.kind:
        case StrokeKind.TYPE:
            return BoxEdit(len(draft), len(draft), stroke.text)
        case StrokeKind.DELETE:
            return BoxEdit(max(len(draft) - 1, 0), len(draft), "")
        case StrokeKind.REPLACE:
            return BoxEdit(min(stroke.start, len(draft)), min(stroke.end, len(draft)), stroke.text)
        case _:
            return None


def location(text: str, position: int) -> tuple[int, int]:
    """Return row and column, from 0, of a position in a text of lines."""
    before = text[:position]
    return before.count("\n"), len(before) - (before.rfind("\n") + 1)
