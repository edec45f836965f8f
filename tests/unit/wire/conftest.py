"""A server on a fake engine whose work can be held, and raw streams to it."""

from collections.abc import AsyncIterator

import pytest
from forefill_service.engine import FakeEngine
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings

from tests.support.wire import Wire
from tests.support.work import Work


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def engine(work: Work) -> FakeEngine:
    return FakeEngine(context_tokens=400, sleep=work)


@pytest.fixture
def max_sessions() -> int:
    return 3


@pytest.fixture
async def server(engine: FakeEngine, max_sessions: int) -> AsyncIterator[RunningServer]:
    settings = Settings(
        port=0,
        metrics_port=-1,
        go_away_seconds=0,
        stop_grace_seconds=0,
        write_timeout_seconds=0.5,
        max_draft_code_points=200,
        max_sessions=max_sessions,
    )
    async with running_server([engine], settings) as running:
        yield running


@pytest.fixture
async def wire(server: RunningServer) -> AsyncIterator[Wire]:
    wire = Wire(server.address)
    yield wire
    await wire.channel.close()


@pytest.fixture
async def bystander(server: RunningServer) -> AsyncIterator[Wire]:
    """Another session of the same server; at the end it must still work."""
    other = Wire(server.address)
    await other.open()
    yield other
    await other.still_works()
    await other.channel.close()
