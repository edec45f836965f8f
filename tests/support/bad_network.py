"""A TCP proxy on loopback that delays, stalls and cuts; its server can be another one from one moment to the next."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class BadNetwork:
    """What is between clients and one server at a time."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.address = ""
        self.delay_seconds = 0.0
        """How long each piece is held; what comes meanwhile is the next piece."""
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def stalls(self) -> None:
        """Let nothing through, in either direction."""
        self._flows.clear()

    def flows(self) -> None:
        """Let everything through again."""
        self._flows.set()

    def cuts(self) -> None:
        """Reset every connection; what was on its way is lost."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self.upstream.rsplit(":", 1)
        try:
            server_reader, server_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, server_writer}
        for source, sink in ((reader, server_writer), (server_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await asyncio.sleep(self.delay_seconds)
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        sink.close()

    async def _close(self) -> None:
        self.cuts()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def bad_network(upstream: str) -> AsyncIterator[BadNetwork]:
    """Stand between clients and a server at HOST:PORT."""
    network = BadNetwork(upstream)
    server = await asyncio.start_server(network._connected, "127.0.0.1", 0)
    network.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield network
    finally:
        server.close()
        await network._close()
