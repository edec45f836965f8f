"""The connections of a small port: so many, each for so long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forefill_service.listeners.connections import Connections

from tests.support.served import SECONDS_TO_GIVE_UP, until

FOREVER = 1e6


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@asynccontextmanager
async def echoing(most: int, seconds: float) -> AsyncIterator[tuple[Connections, int]]:
    connections = Connections(most, seconds)
    server = await asyncio.get_running_loop().create_server(connections.limited(Echo), "127.0.0.1", 0)
    async with asyncio.timeout(SECONDS_TO_GIVE_UP), server:
        try:
            yield connections, server.sockets[0].getsockname()[1]
        finally:
            connections.cut_all()


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return both ends, since a connection whose writer is forgotten is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    return reader, writer


async def is_cut(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_one_more_takes_the_place_of_the_oldest() -> None:
    async with echoing(2, FOREVER) as (connections, port):
        made = [await connect(port) for _ in range(3)]
        assert await is_cut(made[0][0])
        assert len(connections) == 2
        assert not made[1][0].at_eof()


async def test_a_connection_ends_when_its_time_is_over() -> None:
    async with echoing(2, 0.05) as (connections, port):
        reader, _ = await connect(port)
        assert await is_cut(reader)
        assert len(connections) == 0


async def test_a_client_that_leaves_gives_its_place_back() -> None:
    async with echoing(2, FOREVER) as (connections, port):
        kept, kept_writer = await connect(port)
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            await until(lambda: len(connections) == 2)
            writer.close()
            await until(lambda: len(connections) == 1)
        assert not kept.at_eof()
        kept_writer.close()


async def test_all_may_be_cut() -> None:
    async with echoing(2, FOREVER) as (connections, port):
        reader, _ = await connect(port)
        connections.cut_all()
        assert await is_cut(reader)
        assert len(connections) == 0
