"""Every error of the SDK, as one tree.

    ForefillError
    ├── Unavailable               try again, here or elsewhere
    │   ├── NotReachable          no server answers at the address
    │   ├── EngineUnavailable     the server's engine has died
    │   ├── ServerStopping        the server is shutting down
    │   ├── TooManySessions       the server is full
    │   ├── RateLimited           this caller wants too many streams or tokens
    │   └── SessionIdle           nothing was typed for too long
    ├── InvalidRequest            correct the request (also a ValueError)
    │   ├── InvalidText           text that has no UTF-8
    │   ├── InvalidSampling       a sampling value cannot be used
    │   ├── AdapterNotFound       the engine does not have the adapter
    │   ├── TemplateRefused       the chat template refused the messages
    │   ├── PromptTooLong         no room left in the model's context
    │   ├── DraftTooLong          longer than the server accepts
    │   └── EmptySubmit           nothing to submit
    ├── NotAuthenticated          the server does not know the credentials, or they have expired
    ├── PermissionDenied          the credentials do not allow it
    ├── GenerationRunning         an answer is still running, or a hand-off is not finished
    ├── GenerationFailed          the engine did not generate
    ├── GenerationInterrupted     the engine was lost in mid-answer; `text` is the part that came
    ├── HandOffNotOffered         the server does not say where its engine is
    ├── DraftDiverged             the server's draft could not be repaired
    ├── ClientTooSlow             answers were not read in time
    ├── ProtocolError             client and server do not speak the same protocol
    ├── InternalError             a defect in the server; its log has it under `error_id`
    └── SessionEnded              the session is over
        └── Aborted               it was cancelled

An error that arrives as a SessionError leaves the session usable; one that arrives as the status of the stream ends it.
`session_continues` says which it was. The table `REASONS` maps the wire's ErrorReason to these classes.
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import grpc
from forefill.v1 import keystroke_pb2 as pb

REASON_METADATA_KEY = "forefill-error-reason"
ERROR_ID_METADATA_KEY = "forefill-error-id"
RETRY_METADATA_KEY = "forefill-retry-after-ms"


class ForefillError(Exception):
    """Raised when an error has no class of its own; the parent of all that have one."""

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed a little later."""
    reason: str
    """Name of the wire's ErrorReason without its prefix, such as "PROMPT_TOO_LONG"; empty if there is none."""
    seq: int | None
    """Number of the event that was refused; None if the error is about none."""
    session_continues: bool
    """Whether the session can still be used."""
    retry_after_seconds: float
    """For how many seconds the server wants not to be asked again; 0 if it says nothing."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        seq: int | None = None,
        session_continues: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.seq = seq
        self.session_continues = session_continues
        self.retry_after_seconds = 0.0


class Unavailable(ForefillError):
    """Raised when no server could serve the session; open a new one with the draft, here or at another server."""

    retryable = True


class NotReachable(Unavailable):
    """Raised when no server answers at the address."""


class EngineUnavailable(Unavailable):
    """Raised when the server's engine has died."""


class ServerStopping(Unavailable):
    """Raised when the server is shutting down."""


class TooManySessions(Unavailable):
    """Raised when the server has as many sessions as it accepts."""


class RateLimited(Unavailable):
    """Raised when this caller has too many sessions, opens too many in too short a time, or has used up its tokens."""


class SessionIdle(Unavailable):
    """Raised when the server ended the session because nothing was typed for too long."""


class NotAuthenticated(ForefillError):
    """Raised when the server does not know the credentials, or they have expired; connect with others."""


class PermissionDenied(ForefillError):
    """Raised when the credentials do not allow what was asked; the message says what."""


class InvalidRequest(ForefillError, ValueError):
    """Raised when no server could do what was asked; correct the call."""


class InvalidText(InvalidRequest):
    """Raised when a text cannot be encoded as UTF-8, because of a lone surrogate. Nothing was sent."""


class InvalidSampling(InvalidRequest):
    """Raised when a sampling value is out of range, or when the engine refuses it: the message says which."""


class AdapterNotFound(InvalidRequest):
    """Raised when the engine does not have the LoRA adapter, or cannot load it; open with another, or without."""


class TemplateRefused(InvalidRequest):
    """Raised when the model's chat template refused the messages."""


class PromptTooLong(InvalidRequest):
    """Raised when the prompt leaves no room in the model's context."""


class DraftTooLong(InvalidRequest):
    """Raised when the draft is longer than the server accepts."""


class EmptySubmit(InvalidRequest):
    """Raised when there is nothing to submit, or no message to respond to."""


class GenerationRunning(ForefillError):
    """Raised when an answer is still running, or a hand-off is open; end it first, or cancel it."""

    retryable = True


class GenerationFailed(ForefillError):
    """Raised when the engine did not generate; submit again, after `retry_after_seconds` if it has no room."""

    retryable = True


class GenerationInterrupted(ForefillError):
    """Raised when the engine was lost in mid-answer; keep the part that came, or submit again for a whole answer."""

    retryable = True
    text: str = ""
    """The part of the answer that came before."""


class HandOffNotOffered(ForefillError):
    """Raised when the server's operator has not said where applications reach the engine; use submit."""


class DraftDiverged(ForefillError):
    """Raised when the server's draft could not be repaired; submit still works, since it carries the whole text."""


class ClientTooSlow(ForefillError):
    """Raised when the server ended the session because its answers were not read in time."""

    retryable = True


class ProtocolError(ForefillError):
    """Raised when client and server do not speak the same protocol; use the same version of both."""


class InternalError(ForefillError):
    """Raised when the server has a defect; its log has the details under `error_id`."""

    retryable = True
    error_id: str
    """Names the error in the server's log; "" if the server gave no name."""

    def __init__(self, message: str, *, error_id: str = "", reason: str = "INTERNAL", seq: int | None = None) -> None:
        super().__init__(f"{message} (error id {error_id})" if error_id else message, reason=reason, seq=seq)
        self.error_id = error_id


class SessionEnded(ForefillError):
    """Raised when the session is over; open a new one."""


class Aborted(SessionEnded):
    """Raised when the session was cancelled, for example because an answer was not read to its end."""


class Handling(NamedTuple):
    """How the SDK handles one ErrorReason of the wire."""

    error: type[ForefillError]
    repairable: bool = False
    """Whether the session repairs it by itself, by sending the whole draft again."""


REASONS: dict[str, Handling] = {
    "MALFORMED_MESSAGE": Handling(ProtocolError),
    "NOT_OPEN": Handling(ProtocolError),
    "ALREADY_OPEN": Handling(ProtocolError),
    "EVENT_MISSING": Handling(ProtocolError),
    "SEQUENCE_REPEATED": Handling(ProtocolError),
    "SEQUENCE_GAP": Handling(DraftDiverged, repairable=True),
    "POSITION_OUT_OF_RANGE": Handling(DraftDiverged, repairable=True),
    "DRAFT_DIVERGED": Handling(DraftDiverged, repairable=True),
    "DRAFT_TOO_LONG": Handling(DraftTooLong),
    "EMPTY_SUBMIT": Handling(EmptySubmit),
    "GENERATION_RUNNING": Handling(GenerationRunning),
    "PROMPT_TOO_LONG": Handling(PromptTooLong),
    "INVALID_SAMPLING": Handling(InvalidSampling),
    "TEMPLATE_REFUSED": Handling(TemplateRefused),
    "INVALID_TOOLS": Handling(InvalidRequest),
    "INVALID_OPEN": Handling(InvalidRequest),
    "SESSION_ENDED": Handling(SessionEnded),
    "GENERATION_FAILED": Handling(GenerationFailed),
    "GENERATION_INTERRUPTED": Handling(GenerationInterrupted),
    "NOTHING_TO_CANCEL": Handling(ForefillError),
    "INVALID_REWRITE": Handling(InvalidRequest),
    "ADAPTER_NOT_FOUND": Handling(AdapterNotFound),
    "HAND_OFF_NOT_OFFERED": Handling(HandOffNotOffered),
    "NOTHING_HANDED_OFF": Handling(ForefillError),
    "INVALID_HAND_OFF": Handling(InvalidRequest),
    "ENGINE_UNAVAILABLE": Handling(EngineUnavailable),
    "SERVER_STOPPING": Handling(ServerStopping),
    "TOO_MANY_SESSIONS": Handling(TooManySessions),
    "TENANT_UNKNOWN": Handling(NotAuthenticated),
    "UNAUTHENTICATED": Handling(NotAuthenticated),
    "PERMISSION_DENIED": Handling(PermissionDenied),
    "CREDENTIALS_EXPIRED": Handling(NotAuthenticated),
    "RATE_LIMITED": Handling(RateLimited),
    "SESSION_IDLE": Handling(SessionIdle),
    "SESSION_TOO_OLD": Handling(Unavailable),
    "MESSAGE_TOO_LARGE": Handling(InvalidRequest),
    "CLIENT_TOO_SLOW": Handling(ClientTooSlow),
    "ABORTED": Handling(Aborted),
    "INTERNAL": Handling(InternalError),
}
_UNKNOWN = Handling(ForefillError)

_CODES: dict[grpc.StatusCode, tuple[type[ForefillError], str]] = {
    grpc.StatusCode.UNAVAILABLE: (Unavailable, "the connection to the server was lost: open a new session"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Unavailable, "the stream ran out of time on its way: open a new session"),
    # A server names its reason, so this is a proxy on the way: Envoy's limits reset a stream, which gRPC reports so.
    grpc.StatusCode.INTERNAL: (Unavailable, "the stream was reset on its way: open a new session"),
    grpc.StatusCode.CANCELLED: (Aborted, "the stream was cancelled: open a new session"),
    grpc.StatusCode.UNIMPLEMENTED: (ProtocolError, "the server at this address is not forefill: check the address"),
}
_TOO_LARGE = "SERVER: Received message larger than max"
"""What gRPC says when the server does not even take a message in, and so cannot name its reason."""


def reason_name(value: int) -> str:
    """Return the name of an ErrorReason without its prefix; REASON_ and the number if this client does not know it."""
    try:
        return pb.ErrorReason.Name(pb.ErrorReason.ValueType(value)).removeprefix("ERROR_REASON_")
    except ValueError:
        return f"REASON_{value}"


def from_session_error(error: pb.SessionError) -> ForefillError:
    """Return the exception for an error after which the session continues."""
    reason = reason_name(error.reason)
    cls = REASONS.get(reason, _UNKNOWN).error
    exception = cls(error.message or f"the server refused an event: {reason}", reason=reason)
    exception.seq = error.seq or None
    exception.session_continues = True
    exception.retry_after_seconds = error.retry_after_ms / 1000
    if isinstance(exception, GenerationInterrupted):
        exception.text = error.sent_text
    return exception


def from_status(code: grpc.StatusCode, details: str, metadata: Mapping[str, str]) -> ForefillError:
    """Return the exception for the status that ended a stream: by its reason if it names one, else by its code."""
    error = _from_status(code, details, metadata)
    retry_after_ms = metadata.get(RETRY_METADATA_KEY, "")
    error.retry_after_seconds = int(retry_after_ms) / 1000 if retry_after_ms.isdecimal() else 0.0
    return error


def _from_status(code: grpc.StatusCode, details: str, metadata: Mapping[str, str]) -> ForefillError:
    reason = metadata.get(REASON_METADATA_KEY, "")
    if reason == "INTERNAL":
        error_id = metadata.get(ERROR_ID_METADATA_KEY, "")
        return InternalError(details or "the server has a defect: open a new session", error_id=error_id)
    if reason:
        return REASONS.get(reason, _UNKNOWN).error(details or f"the server ended the stream: {reason}", reason=reason)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in details:
        advice = "the message is far larger than the server accepts: send less"
        return InvalidRequest(f"{advice} ({details})", reason="MESSAGE_TOO_LARGE")
    cls, advice = _CODES.get(code, (ForefillError, f"the server ended the stream with {code.name}"))
    return cls(f"{advice} ({details})" if details else advice)
