"""How a stream ends that is refused: one status for each reason, with its details."""

from typing import Any

import grpc
from google.protobuf import any as any_message
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from ..errors import Reason, Refusal

DOMAIN = "forefill"
RETRY_AFTER_SECONDS = 1
MOST_MESSAGE_BYTES = 500

STATUSES: dict[Reason, grpc.StatusCode] = {
    Reason.MALFORMED_MESSAGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.NOT_OPEN: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.DRAFT_TOO_LONG: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.PROMPT_TOO_LONG: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_SAMPLING: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.TEMPLATE_REFUSED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_TOOLS: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_OPEN: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.ADAPTER_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.TENANT_UNKNOWN: grpc.StatusCode.UNAUTHENTICATED,
    Reason.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Reason.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Reason.CREDENTIALS_EXPIRED: grpc.StatusCode.UNAUTHENTICATED,
    Reason.ENGINE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.SERVER_STOPPING: grpc.StatusCode.UNAVAILABLE,
    Reason.TOO_MANY_SESSIONS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.SESSION_IDLE: grpc.StatusCode.UNAVAILABLE,
    Reason.SESSION_TOO_OLD: grpc.StatusCode.UNAVAILABLE,
    Reason.MESSAGE_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.CLIENT_TOO_SLOW: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.ABORTED: grpc.StatusCode.CANCELLED,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}
"""The status of every reason that can end a stream; the other reasons come only as SessionErrors."""

_RETRIABLE = {Reason.ENGINE_UNAVAILABLE, Reason.SERVER_STOPPING, Reason.TOO_MANY_SESSIONS, Reason.RATE_LIMITED}


async def abort(context: grpc.aio.ServicerContext[Any, Any], refusal: Refusal, error_id: str = "") -> None:
    """End a stream for a reason; `error_id` names the error in the log, "" if it is not there.

    Does not return: `context.abort` raises.
    """
    metadata = {"error_id": error_id} if error_id else {}
    plain = {"forefill-error-reason": refusal.reason.name}  # the same, for clients without the google.rpc messages
    if error_id:
        plain["forefill-error-id"] = error_id
    details = [
        any_message.pack(error_details_pb2.ErrorInfo(reason=refusal.reason.name, domain=DOMAIN, metadata=metadata))
    ]
    if refusal.reason in _RETRIABLE:
        retry_ms = round(1000 * (refusal.retry_after_seconds or RETRY_AFTER_SECONDS))
        delay = Duration()
        delay.FromMilliseconds(retry_ms)
        details.append(any_message.pack(error_details_pb2.RetryInfo(retry_delay=delay)))
        plain["forefill-retry-after-ms"] = str(retry_ms)
    code, message = STATUSES[refusal.reason], _for_trailers(str(refusal))
    status = rpc_status.to_status(status_pb2.Status(code=code.value[0], message=message, details=details))
    await context.abort(code, message, (*status.trailing_metadata, *plain.items()))


def _for_trailers(message: str) -> str:
    """Return as much of a message as trailers have room for: it stands there twice, and with escapes."""
    return message.encode()[:MOST_MESSAGE_BYTES].decode(errors="ignore")
