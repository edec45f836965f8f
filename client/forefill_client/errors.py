"""Everything that can go wrong, as one tree.

ForefillError
├── Unavailable               try again, here or elsewhere
│   ├── NotReachable          nobody answers at the address
│   ├── EngineUnavailable     the server's engine has died
│   ├── ServerStopping        the server is being stopped
│   └── TooManySessions       the server is full
├── InvalidRequest            mend what was asked (a ValueError too)
│   ├── InvalidText           text that has no UTF-8
│   ├── InvalidSampling       a sampling value is out of range
│   ├── TemplateRefused       the chat template refused the messages
│   ├── PromptTooLong         no room left in the model's context
│   ├── DraftTooLong          longer than the server accepts
│   └── EmptySubmit           nothing to submit
├── GenerationRunning         an answer is still running
├── GenerationFailed          the engine did not generate
├── GenerationInterrupted     the engine was lost in mid-answer; `text` is what came
├── DraftDiverged             the server's draft could not be brought back into step
├── ClientTooSlow             answers were not read
├── ProtocolError             client and server do not speak alike
├── InternalError             a defect of the server; `error_id` finds it in its log
└── SessionEnded              the session is over
    └── Aborted               it was cancelled

An error that came as SessionError leaves the session usable, one that came as the status of the stream does not:
`session_continues` says which. The one table that maps the wire's ErrorReason to these classes is `REASONS`.
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import grpc
from forefill.v1 import keystroke_pb2 as pb

REASON_METADATA_KEY = "forefill-error-reason"
ERROR_ID_METADATA_KEY = "forefill-error-id"


class ForefillError(Exception):
    """Raised when something went wrong that has no class of its own, and the parent of all that have."""

    #: Whether the same thing, tried again a little later, may succeed.
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        seq: int | None = None,
        session_continues: bool = False,
    ) -> None:
        super().__init__(message)
        #: Name of the wire's ErrorReason without its prefix, such as "PROMPT_TOO_LONG"; empty where there is none.
        self.reason = reason
        #: Number of the event that it answers; None where it answers none.
        self.seq = seq
        #: Whether the session goes on.
        self.session_continues = session_continues


class Unavailable(ForefillError):
    """Raised when no server could serve the session; open a new one with the draft, here or elsewhere."""

    retryable = True


class NotReachable(Unavailable):
    """Raised when nobody answers at the address."""


class EngineUnavailable(Unavailable):
    """Raised when the server's engine has died."""


class ServerStopping(Unavailable):
    """Raised when the server is being stopped."""


class TooManySessions(Unavailable):
    """Raised when the server holds as many sessions as it may."""


class InvalidRequest(ForefillError, ValueError):
    """Raised when what was asked cannot be done by any server; mend the call."""


class InvalidText(InvalidRequest):
    """Raised when a text has no UTF-8, as a lone surrogate has none. Nothing was sent."""


class InvalidSampling(InvalidRequest):
    """Raised when a sampling value is out of range."""


class TemplateRefused(InvalidRequest):
    """Raised when the model's chat template refused the messages."""


class PromptTooLong(InvalidRequest):
    """Raised when the prompt leaves no room in the model's context."""


class DraftTooLong(InvalidRequest):
    """Raised when the draft is longer than the server accepts."""


class EmptySubmit(InvalidRequest):
    """Raised when there is nothing to submit."""


class GenerationRunning(ForefillError):
    """Raised when an answer is still running; read it to its end first."""

    retryable = True


class GenerationFailed(ForefillError):
    """Raised when the engine did not generate; submit again."""

    retryable = True


class GenerationInterrupted(ForefillError):
    """Raised when the engine was lost in mid-answer; keep what came, or submit again for a whole answer."""

    retryable = True
    #: What of the answer came before.
    text: str = ""


class DraftDiverged(ForefillError):
    """Raised when the server's draft could not be brought back into step; submit works all the same."""


class ClientTooSlow(ForefillError):
    """Raised when the server gave up because its answers were not read."""

    retryable = True


class ProtocolError(ForefillError):
    """Raised when client and server do not speak alike; bring both to one version."""


class InternalError(ForefillError):
    """Raised when the server has a defect; its log has it under `error_id`."""

    retryable = True

    def __init__(self, message: str, *, error_id: str = "", reason: str = "INTERNAL", seq: int | None = None) -> None:
        super().__init__(f"{message} (error id {error_id})" if error_id else message, reason=reason, seq=seq)
        self.error_id = error_id


class SessionEnded(ForefillError):
    """Raised when the session is over; open a new one."""


class Aborted(SessionEnded):
    """Raised when the session was cancelled, as it is when an answer is abandoned."""


class Reason(NamedTuple):
    """What one ErrorReason means to a caller."""

    error: type[ForefillError]
    #: The session itself mends it, by sending the whole draft again.
    repairable: bool = False


REASONS: dict[str, Reason] = {
    "MALFORMED_MESSAGE": Reason(ProtocolError),
    "NOT_OPEN": Reason(ProtocolError),
    "ALREADY_OPEN": Reason(ProtocolError),
    "EVENT_MISSING": Reason(ProtocolError),
    "SEQUENCE_REPEATED": Reason(ProtocolError),
    "SEQUENCE_GAP": Reason(DraftDiverged, repairable=True),
    "POSITION_OUT_OF_RANGE": Reason(DraftDiverged, repairable=True),
    "DRAFT_DIVERGED": Reason(DraftDiverged, repairable=True),
    "DRAFT_TOO_LONG": Reason(DraftTooLong),
    "EMPTY_SUBMIT": Reason(EmptySubmit),
    "GENERATION_RUNNING": Reason(GenerationRunning),
    "PROMPT_TOO_LONG": Reason(PromptTooLong),
    "INVALID_SAMPLING": Reason(InvalidSampling),
    "TEMPLATE_REFUSED": Reason(TemplateRefused),
    "INVALID_OPEN": Reason(InvalidRequest),
    "SESSION_ENDED": Reason(SessionEnded),
    "GENERATION_FAILED": Reason(GenerationFailed),
    "GENERATION_INTERRUPTED": Reason(GenerationInterrupted),
    "ENGINE_UNAVAILABLE": Reason(EngineUnavailable),
    "SERVER_STOPPING": Reason(ServerStopping),
    "TOO_MANY_SESSIONS": Reason(TooManySessions),
    "CLIENT_TOO_SLOW": Reason(ClientTooSlow),
    "ABORTED": Reason(Aborted),
    "INTERNAL": Reason(InternalError),
}
_UNKNOWN = Reason(ForefillError)

_CODES: dict[grpc.StatusCode, tuple[type[ForefillError], str]] = {
    grpc.StatusCode.UNAVAILABLE: (Unavailable, "the connection to the server was lost: open a new session"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Unavailable, "the stream ran out of time on its way: open a new session"),
    grpc.StatusCode.CANCELLED: (Aborted, "the stream was cancelled: open a new session"),
    grpc.StatusCode.UNIMPLEMENTED: (ProtocolError, "no forefill server listens there: check the address"),
}


def reason_name(value: int) -> str:
    """Return the name of an ErrorReason without its prefix; a number that this client does not know keeps it."""
    try:
        return pb.ErrorReason.Name(pb.ErrorReason.ValueType(value)).removeprefix("ERROR_REASON_")
    except ValueError:
        return f"REASON_{value}"


def from_session_error(error: pb.SessionError) -> ForefillError:
    """Return the exception for an error after which the session goes on."""
    reason = reason_name(error.reason)
    cls = REASONS.get(reason, _UNKNOWN).error
    exception = cls(error.message or f"the server refused an event: {reason}", reason=reason)
    exception.seq = error.seq or None
    exception.session_continues = True
    if isinstance(exception, GenerationInterrupted):
        exception.text = error.sent_text
    return exception


def from_status(code: grpc.StatusCode, details: str, metadata: Mapping[str, str]) -> ForefillError:
    """Return the exception for the status that ended a stream: by its reason where it names one, else by its code."""
    reason = metadata.get(REASON_METADATA_KEY, "")
    if reason == "INTERNAL":
        error_id = metadata.get(ERROR_ID_METADATA_KEY, "")
        return InternalError(details or "the server has a defect: open a new session", error_id=error_id)
    if reason:
        return REASONS.get(reason, _UNKNOWN).error(details or f"the server ended the stream: {reason}", reason=reason)
    cls, advice = _CODES.get(code, (ForefillError, f"the server ended the stream with {code.name}"))
    return cls(f"{advice} ({details})" if details else advice)
