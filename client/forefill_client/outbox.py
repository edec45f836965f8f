"""The events of one stream on their way out, under the numbers that they have there.

Each stream numbers its events from 1. The session's numbers go on from stream to stream, and `base` is the difference:
the session's number of the last event before this stream.
"""

from collections import deque
from typing import Final

from forefill.v1 import keystroke_pb2 as pb

_ABOUT_AN_EVENT: Final = frozenset(
    field.name
    for field in pb.ComposeResponse.DESCRIPTOR.fields
    if field.message_type is not None and "seq" in field.message_type.fields_by_name
)
"""The responses that name an event by its number."""


class Outbox:
    """What one stream has still to send, in the order in which it was put."""

    def __init__(self, base: int) -> None:
        self._base = base
        self._unsent: deque[pb.KeystrokeEvent] = deque()

    def __len__(self) -> int:
        return len(self._unsent)

    def put(self, event: pb.KeystrokeEvent, timestamp_ms: float) -> None:
        """Add an event of the session, stamped with the time."""
        unsent = pb.KeystrokeEvent()
        unsent.CopyFrom(event)
        unsent.seq -= self._base
        unsent.timestamp_ms = timestamp_ms
        self._unsent.append(unsent)

    def take(self) -> pb.KeystrokeEvent:
        """Return the next event to send; it is not unsent any more."""
        return self._unsent.popleft()

    def leave(self, last_number: int) -> None:
        """Have END sent in place of all that is unsent; `last_number` is the session's, of the last event put."""
        last_sent = last_number - self._base - len(self._unsent)
        self._unsent.clear()
        self._unsent.append(pb.KeystrokeEvent(seq=last_sent + 1, end=pb.End()))

    def renumbered(self, response: pb.ComposeResponse) -> pb.ComposeResponse:
        """Return a response to an event of this stream as one to an event of the session."""
        kind = response.WhichOneof("response")
        if self._base and kind in _ABOUT_AN_EVENT and getattr(response, kind).seq:
            getattr(response, kind).seq += self._base
        return response
