"""The messages of one stream, from bytes to events: the size comes first, and no step of the event loop is long.

    a message of                       is
    more bytes than the limits allow   refused, before anything of it is parsed
    more than `AT_ONCE_BYTES`          parsed, checked and converted by the threads that make prompts
    fewer                              the same, at once

Keys, and most FLUSHes, have some tens of bytes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from forefill.v1 import keystroke_pb2 as pb
from google.protobuf.message import DecodeError

from ..errors import Reason, Refusal
from ..fleet.backend import Render
from ..serving.content_limits import ContentLimits
from ..serving.runner import Event
from ..session.events import Open
from .from_messages import event_from

AT_ONCE_BYTES = 4096
"""Of these the costliest, a thousand values of template variables, take some milliseconds."""


async def events_of(
    read: Callable[[], Awaitable[object]], limits: ContentLimits, render: Render
) -> AsyncIterator[Event]:
    """Yield the events of a stream whose messages `read` returns as bytes; anything else is its end.

    Raises Refusal: MESSAGE_TOO_LARGE, MALFORMED_MESSAGE, and what `event_from` raises.
    """
    opened = False
    while isinstance(data := await read(), bytes):
        _check_size(data, limits, opened=opened)
        event: Event
        if len(data) > AT_ONCE_BYTES:
            event = await render(_event, data, opened, limits.held_bytes)
        else:
            event = _event(data, opened, limits.held_bytes)
        opened = True
        del data  # until the next comes, that is for as long as nobody types, nothing here holds this one
        yield event
        del event


def _check_size(data: bytes, limits: ContentLimits, *, opened: bool) -> None:
    most, what = (limits.message_bytes, "it") if opened else (limits.open_bytes, "Open")
    if len(data) > most:
        raise Refusal(Reason.MESSAGE_TOO_LARGE, f"{what} has {len(data)} bytes, and {most} are allowed")


def _event(data: bytes, opened: bool, most_held_bytes: int) -> Event:
    try:
        request = pb.ComposeRequest.FromString(data)
    except DecodeError:
        raise Refusal(Reason.MALFORMED_MESSAGE) from None
    if opened and request.HasField("open"):
        return Open()  # it is refused as a second Open, so its fields are not checked
    return event_from(request, most_held_bytes)
