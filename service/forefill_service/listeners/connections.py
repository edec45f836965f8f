"""Bounds for the connections of a port whose clients need it for a moment."""

import asyncio
from collections.abc import Callable


class Connections:
    """The open connections of one port: at most so many, each for at most so long, whatever its client does.

    One more takes the place of the oldest: clients that connect and say nothing keep nobody out.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._open: dict[asyncio.Transport, asyncio.TimerHandle] = {}  # in the order in which they came

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._open)

    def limited(self, protocol: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return a factory of protocols for `create_server` whose connections are among these."""
        return lambda: _Limited(self, protocol())

    def opened(self, transport: asyncio.Transport) -> None:
        """Take a connection in, and cut the oldest if there are too many."""
        if len(self._open) >= self._most:
            self._cut(next(iter(self._open)))
        self._open[transport] = self._loop.call_later(self._seconds, self._cut, transport)

    def closed(self, transport: asyncio.Transport) -> None:
        """Let go of a connection that has ended."""
        if (timer := self._open.pop(transport, None)) is not None:
            timer.cancel()

    def cut_all(self) -> None:
        """Cut all that are open."""
        for transport in list(self._open):
            self._cut(transport)

    def _cut(self, transport: asyncio.Transport) -> None:
        self.closed(transport)
        transport.abort()


class _Limited(asyncio.Protocol):
    """A protocol whose connection is counted."""

    def __init__(self, connections: Connections, protocol: asyncio.Protocol) -> None:
        self._connections = connections
        self._protocol = protocol
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._connections.opened(transport)
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.closed(self._transport)
        self._protocol.connection_lost(exc)
