"""The reading end of one browser's socket: whole messages, at a pace."""

import asyncio
import time
from collections.abc import Callable

from starlette.websockets import WebSocket

from .limits import BridgeLimits
from .messages import Malformed, Message, parse
from .pace import Pace


class Gone(Exception):
    """Raised when the browser has closed the socket."""


class TooLarge(Exception):
    """Raised when a message is larger than `limits.message_bytes`."""


class Reader:
    """Reads messages; one that sends too many is read later, so that it has to wait."""

    def __init__(self, socket: WebSocket, limits: BridgeLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._socket = socket
        self._limits = limits
        self._clock = clock
        self._pace = Pace(limits.messages_per_second, limits.burst, clock())

    async def next(self) -> Message:
        """Return the next message; raises Gone, TooLarge or Malformed."""
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise Gone
        text = received.get("text")
        if text is None:
            raise Malformed("a message must be a text frame")
        if len(text) > self._limits.message_bytes or len(text.encode()) > self._limits.message_bytes:
            raise TooLarge
        if seconds := self._pace.wait_seconds(self._clock()):
            await asyncio.sleep(seconds)
        return parse(text)
