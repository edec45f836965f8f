"""Two real vLLM servers for all tests about replicas."""

from collections.abc import AsyncIterator

import pytest_asyncio
from forefill_service.engine.http import RemoteEngine, connect

from tests.support.replicas import settings_for
from tests.support.vllm_server import HttpProcess, running, vllm_server

Servers = tuple[HttpProcess, HttpProcess]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def started_servers() -> AsyncIterator[Servers]:
    first, second = vllm_server(), vllm_server()
    async with running(first, second):
        yield first, second


@pytest_asyncio.fixture(loop_scope="session")
async def two_servers(started_servers: Servers) -> Servers:
    """Started once a run, and again where a test before left one dead."""
    for server in started_servers:
        if not server.alive:
            await server.start()
    return started_servers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm_over_http(started_servers: Servers) -> AsyncIterator[RemoteEngine]:
    """One of them, alone."""
    [engine] = await connect(settings_for(started_servers[0].url))
    yield engine
    await engine.close()
