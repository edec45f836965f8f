"""What tests of several directories share: one real engine a run, on one event loop."""

import os
from collections.abc import AsyncIterator

import pytest_asyncio
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings

from tests.support.embedded import started

os.environ["FOREFILL_HEALTH_PORT"] = "-1"
"""Servers that tests start, here or as processes, share no fixed port; tests of that port ask for a free one."""
LOOPBACK = Settings(port=0, metrics_port=-1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded_engine() -> AsyncIterator[EmbeddedEngine]:
    """The packaged model on real vLLM, started once a run.

    It lives on the session's event loop, so its tests carry `pytest.mark.asyncio(loop_scope="session")`.
    """
    async with started() as engine:
        yield engine


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded_server(embedded_engine: EmbeddedEngine) -> AsyncIterator[RunningServer]:
    """forefill on loopback in front of real vLLM."""
    async with running_server([embedded_engine], LOOPBACK) as server:
        yield server
