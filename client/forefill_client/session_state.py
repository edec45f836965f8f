"""What a session can do now, and who is told when that changes."""

from collections.abc import Callable
from enum import Enum

from .errors import ForefillError


class SessionState(Enum):
    """What a session can do now."""

    OPEN = "open"
    """Send what is typed."""
    RECONNECTING = "reconnecting"
    """Take in what is typed, and send it when a server is reached again."""
    CLOSED = "closed"
    """Nothing more."""


OnState = Callable[[SessionState, ForefillError | None], None]
"""Is told each new state, and for all but OPEN the reason; OPEN again when the session has moved to another server."""
