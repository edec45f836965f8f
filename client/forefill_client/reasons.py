"""What the wire says of an error, and the class that the SDK raises for it.

An error has an ErrorReason: in a SessionError, or in the trailing metadata of the status that ends a stream. A status
without one comes from gRPC itself, or from a proxy on the way, and goes by its code.
"""

from collections.abc import Mapping
from typing import NamedTuple

import grpc
from forefill.v1 import keystroke_pb2 as pb

from .errors import (
    Aborted,
    AdapterNotFound,
    ClientTooSlow,
    DraftDiverged,
    DraftTooLong,
    EmptySubmit,
    EngineUnavailable,
    ForefillError,
    GenerationFailed,
    GenerationInterrupted,
    GenerationRunning,
    HandOffNotOffered,
    InternalError,
    InvalidRequest,
    InvalidSampling,
    NotAuthenticated,
    PermissionDenied,
    PromptTooLong,
    ProtocolError,
    RateLimited,
    ServerStopping,
    SessionEnded,
    SessionIdle,
    TemplateRefused,
    TooManySessions,
    Unavailable,
)

REASON_METADATA_KEY = "forefill-error-reason"
ERROR_ID_METADATA_KEY = "forefill-error-id"
RETRY_METADATA_KEY = "forefill-retry-after-ms"


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
