"""Streams of raw bytes to a server, by a client without any code of ours, and how each of them ended."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.wire.servicer import SERVICE_NAME
from google.rpc import error_details_pb2
from grpc_status import rpc_status

SECONDS_TO_GIVE_UP = 60
"""No stream takes long; one that hangs ends with DEADLINE_EXCEEDED."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream as its client saw it; `reason` and `retry` are those of its google.rpc details, if it has any."""

    code: grpc.StatusCode
    message: str = ""
    reason: str = ""
    domain: str = ""
    retry: bool = False
    plain: dict[str, str] = field(default_factory=dict)
    responses: tuple[pb.ComposeResponse, ...] = ()
    cancelled: bool = False


def streamed(channel: grpc.Channel, messages: Sequence[bytes], cancel_before: int | None = None) -> Ended:
    """Send messages on a stream of their own, and read to its end.

    It is cancelled when so many were sent; otherwise the client closes its side after the last.
    """
    method: Any = channel.stream_stream(f"/{SERVICE_NAME}/Compose", None, None)
    begun, cancelled = threading.Event(), False

    def requests() -> Iterator[bytes]:
        nonlocal cancelled
        begun.wait()  # gRPC asks for the first before it returns the call
        for count, message in enumerate(messages):
            if count == cancel_before:
                cancelled = call.cancel()
                return
            yield message
        if cancel_before is not None:
            cancelled = call.cancel()

    call: Any = method(requests(), timeout=SECONDS_TO_GIVE_UP)
    begun.set()
    responses = list[pb.ComposeResponse]()
    try:
        for data in call:
            responses.append(pb.ComposeResponse.FromString(data))
    except grpc.RpcError as error:
        return _ended(error, tuple(responses), cancelled=cancelled)
    return Ended(call.code(), responses=tuple(responses), cancelled=cancelled)


def _ended(error: Any, responses: tuple[pb.ComposeResponse, ...], *, cancelled: bool) -> Ended:
    if cancelled and error.code() is grpc.StatusCode.CANCELLED:  # the server's status may have come after all
        return Ended(error.code(), responses=responses, cancelled=True)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    details = () if status is None else status.details
    for detail in details:
        detail.Unpack(info)
    return Ended(
        error.code(),
        error.details() or "",
        info.reason,
        info.domain,
        any(detail.Unpack(retry) for detail in details),
        {str(name): str(value) for name, value in error.trailing_metadata() or ()},
        responses,
        cancelled,
    )
