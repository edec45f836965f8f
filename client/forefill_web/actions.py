"""What a conversation has its driver do."""

from dataclasses import dataclass

from .messages import Said
from .replies import Reply


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to the browser, if one is there."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class SetDraft:
    """Make this the session's draft."""

    text: str
    composing: bool


@dataclass(frozen=True, slots=True)
class SetHint:
    """Say whether submit is likely."""

    likely: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for the answer to a text; None: once more for the last answer."""

    turn: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Replace the conversation's end."""

    keep: int
    messages: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the running answer."""

    keep_text: bool


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure what the answer to a turn would have waited without forefill."""

    turn: int


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Close the browser's socket after what was sent; the conversation is kept if it is not over."""

    code: int


Action = Send | SetDraft | SetHint | Ask | Rewrite | Stop | Measure | CloseSocket
