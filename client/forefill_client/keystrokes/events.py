"""The events of a typist, and the draft that they make."""

import time
from dataclasses import dataclass, field
from enum import Enum


class EventType(Enum):
    """The kinds of events."""

    CHAR_ADD = "char_add"
    """A character was typed at the end of the draft."""
    CHAR_DELETE = "char_delete"
    """The draft's last character was deleted."""
    FLUSH = "flush"
    """The confirmed text has grown: it may be warmed."""
    SUBMIT = "submit"
    """Enter was pressed."""
    END = "end"
    """The last event."""


@dataclass(frozen=True, slots=True)
class KeystrokeEvent:
    """One event, with the draft after it.

    Raises:
        ValueError: A CHAR_ADD has no `char`.
    """

    event_type: EventType
    """What happened."""
    char: str | None = None
    """The character that was typed; only CHAR_ADD has one."""
    timestamp_ms: float = 0.0
    """Milliseconds since the session began, by the clock of the event's maker."""
    current_text: str = ""
    """The draft."""
    confirmed_text: str = ""
    """The part of the draft that a FLUSH has covered; after SUBMIT, all of it."""

    def __post_init__(self) -> None:
        if self.event_type is EventType.CHAR_ADD and self.char is None:
            raise ValueError("a CHAR_ADD event needs the character: pass char=...")


def _wall_clock_ms() -> float:
    return time.time() * 1000


@dataclass(slots=True)
class StreamingSession:
    """The draft of one typing user as it grows."""

    session_id: str = ""
    """A name for it; nothing depends on it."""
    start_time_ms: float = field(default_factory=_wall_clock_ms)
    """When it began, in milliseconds since the epoch."""
    current_text: str = ""
    """The draft."""
    confirmed_len: int = 0
    """How much of the draft is confirmed, in code points from its start."""
    total_events: int = 0
    """Events so far, including FLUSH and END."""

    @property
    def confirmed_text(self) -> str:
        """The part of the draft that is confirmed."""
        return self.current_text[: self.confirmed_len]

    @property
    def pending_text(self) -> str:
        """The part of the draft that is not confirmed yet."""
        return self.current_text[self.confirmed_len :]

    def elapsed_ms(self) -> float:
        """Return the milliseconds of real time since the session began."""
        return _wall_clock_ms() - self.start_time_ms
