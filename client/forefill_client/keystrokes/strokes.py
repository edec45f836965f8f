"""What one press of a key, or a paste, does to a draft; and a trace, which is a draft's whole story: values alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from .events import EventType, KeystrokeEvent


class StrokeKind(Enum):
    """The kinds of strokes."""

    TYPE = "type"
    """A text was appended: a character, or more if it was pasted."""
    DELETE = "delete"
    """The last code point was removed."""
    REPLACE = "replace"
    """A text was put in place of another, or between two characters."""
    FLUSH = "flush"
    """The client confirmed a part of the draft; the draft stays as it is."""
    SUBMIT = "submit"
    """Enter was pressed."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """One thing done to the draft. Positions and lengths count code points."""

    at_ms: float
    """Milliseconds since the trace began."""
    kind: StrokeKind
    """What was done."""
    draft: str
    """The draft after it."""
    text: str = ""
    """The text that TYPE appends or REPLACE puts in."""
    start: int = 0
    """Where the part begins that REPLACE takes out."""
    end: int = 0
    """Where that part ends; `start` if nothing is taken out."""
    confirmed: int = 0
    """How much of the draft FLUSH confirms, from its beginning."""


Trace = tuple[Stroke, ...]
"""The strokes of one draft, from the first key on, in the order of their times. SUBMIT, if it came, is the last one."""

KIND_OF: Final[Mapping[EventType, StrokeKind]] = MappingProxyType(
    {
        EventType.CHAR_ADD: StrokeKind.TYPE,
        EventType.CHAR_DELETE: StrokeKind.DELETE,
        EventType.FLUSH: StrokeKind.FLUSH,
        EventType.SUBMIT: StrokeKind.SUBMIT,
    }
)
"""The stroke that an event of the simulator is; END is none."""


def stroke_of(event: KeystrokeEvent) -> Stroke:
    """Return an event other than END as a stroke."""
    kind = KIND_OF[event.event_type]
    confirmed = len(event.confirmed_text) if kind is StrokeKind.FLUSH else 0
    return Stroke(event.timestamp_ms, kind, event.current_text, event.char or "", confirmed=confirmed)
