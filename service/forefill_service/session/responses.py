"""Responses of a stream, as values; `wire.to_messages` turns them into messages. Times are in seconds here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from ..chat.generation import TokenLogprobs, ToolCallPart
from ..errors import Reason
from .ledger import Balance, PregenerationOutcome

CANCELLED = "cancelled"
"""The reason of an answer that Cancel stopped, beside those of engines."""
HANDED_OFF = "handed off"
"""The reason of an answer that the application asked for itself."""


class FlushOutcome(Enum):
    """What became of a FLUSH; the names are those on the wire."""

    WARMED = auto()
    NOTHING_NEW = auto()
    DEFERRED = auto()
    SHED = auto()
    INERT = auto()


class ShedReason(Enum):
    """Why a FLUSH was not warmed; the names are those on the wire."""

    UNSPECIFIED = auto()
    LOAD = auto()
    PAYBACK = auto()
    FAILED = auto()
    QUOTA = auto()


class Source(Enum):
    """What an answer began on; the names are those on the wire."""

    COLD = auto()
    WARM = auto()
    PREGENERATED = auto()


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """The sizes that a client must stay within."""

    max_draft_code_points: int
    context_tokens: int
    max_message_bytes: int


@dataclass(frozen=True, slots=True)
class Opened:
    """Answers Open."""

    session_id: str
    model: str
    block_size: int
    limits: SessionLimits
    base_prompt_tokens: int
    warming_inert_reason: str
    resume_token: str = ""
    splits_answers: bool = False


@dataclass(frozen=True, slots=True)
class FlushResult:
    """Answers a FLUSH; fields as in `FlushResult` on the wire."""

    seq: int
    confirmed_code_points: int
    outcome: FlushOutcome
    stable_tokens: int = 0
    cached_tokens: int = 0
    computed_tokens: int = 0
    shed_reason: ShedReason = ShedReason.UNSPECIFIED
    cached_code_points: int | None = None


@dataclass(frozen=True, slots=True)
class PregenerationUpdate:
    """An answer to the draft was begun, or this became of it; fields as in `PregenerationUpdate` on the wire."""

    outcome: PregenerationOutcome | None = None
    tokens: int = 0
    engine_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GenerationStarted:
    """The first token has come."""

    seq: int
    ttft_seconds: float
    prompt_tokens: int
    cached_tokens: int
    source: Source
    prompt_by_engine: bool = False


@dataclass(frozen=True, slots=True)
class GenerationDelta:
    """More of an answer: of its text, its reasoning, or its calls of tools; or only the `logprobs` of its tokens."""

    seq: int
    text: str
    reasoning: str = ""
    tool_calls: tuple[ToolCallPart, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationFinished:
    """An answer has ended; `reason` is the engine's, "stop", "length" or "tool_calls", or CANCELLED, or HANDED_OFF.

    One that ended before its first token has a `ttft_seconds` of 0.
    """

    seq: int
    reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    render_seconds: float
    ttft_seconds: float
    total_seconds: float
    ledger: Balance


@dataclass(frozen=True, slots=True)
class HandedOff:
    """Answers a HandOff; fields as in `HandedOff` on the wire."""

    seq: int
    base_url: str
    headers: Mapping[str, str]
    cache_salt: str
    model: str
    prompt_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class SessionError:
    """An event was not carried out; `sent_text` is the part of an interrupted answer that was sent.

    `retry_after_seconds` says when to send it again; 0 if nobody says.
    """

    reason: Reason
    message: str
    seq: int
    draft_code_points: int
    sent_text: str = ""
    retry_after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GoAway:
    """The server stops: the session is served for `within_seconds` more, and then a running answer, if time allows."""

    within_seconds: float
    resume_token: str = ""


Response = (
    GoAway
    | Opened
    | FlushResult
    | GenerationStarted
    | GenerationDelta
    | GenerationFinished
    | HandedOff
    | PregenerationUpdate
    | SessionError
)
