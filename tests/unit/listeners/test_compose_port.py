"""The limit on connections, over all clients."""

import asyncio
import resource
from contextlib import AsyncExitStack

import pytest
from forefill_service.listeners import compose_port

from tests.support.raw_http2 import RawConnection, raw_connection
from tests.support.served import SETTINGS, TEXT, Served, changed, served, until
from tests.support.wire import typing_at


async def greeted(running: Served, stack: AsyncExitStack) -> RawConnection:
    """Return a connection that is open, and says nothing."""
    connection = await stack.enter_async_context(raw_connection(running.address))
    await asyncio.wait({asyncio.ensure_future(connection.closed.wait())}, timeout=0.1)
    return connection


async def test_more_connections_than_allowed_are_closed_at_once_and_the_others_go_on() -> None:
    async with served(settings=changed(SETTINGS, max_connections=3)) as running, AsyncExitStack() as stack:
        async with typing_at(running.address) as typist:
            held = [await greeted(running, stack) for _ in range(2)]
            over = [await greeted(running, stack) for _ in range(5)]
            assert all(connection.closed.is_set() for connection in over)
            assert not any(connection.closed.is_set() for connection in held)
            assert (await typist.submit(TEXT)).text
        await held[0].close()
        again: list[RawConnection] = []

        async def one_more() -> bool:
            again.append(await greeted(running, stack))
            return not again[-1].closed.is_set()

        async with asyncio.timeout(10):
            while not await one_more():
                pass
        await until(lambda: not running.running.servicer.streams)


@pytest.mark.parametrize(
    ("files", "connections"), [(1024, 512), (2**40, 2**31 - 1), (resource.RLIM_INFINITY, 2**31 - 1)]
)
def test_by_default_half_of_the_files_are_left_for_the_rest(
    files: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert compose_port._half_of_the_files() == connections
