"""A channel on which SUBMIT brings no text, so that the server goes by the draft that it has itself.

The SDK's SUBMIT carries the draft, for safety. The answer to it would not show whether the server's copy was right.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb


@dataclass(slots=True)
class _Stream:
    enters: bool = False

    def without_text(self, request: pb.ComposeRequest) -> pb.ComposeRequest:
        kind = request.event.WhichOneof("kind")
        if self.enters and kind in ("submit", "hand_off"):
            self.enters = False
            getattr(request.event, kind).ClearField("text")
        return request


class OwnDraftChannel:
    """Passes on all but the text of what is submitted or handed off next, if the stream that is open now carries it.

    A later stream asks for that beside its own draft, and has to say for what.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stream = _Stream()

    def enters(self) -> None:
        """Have the server go by its own draft."""
        self._stream.enters = True

    def stream_stream(
        self, method: str, *, request_serializer: Callable[[pb.ComposeRequest], bytes], **options: Any
    ) -> Any:
        """Make what opens a stream; the SDK does so for each."""
        stream = self._stream = _Stream()
        return self._channel.stream_stream(
            method, request_serializer=lambda request: request_serializer(stream.without_text(request)), **options
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)
