"""What tests of several directories share: one real engine a run, on one event loop."""

import os
from collections.abc import AsyncIterator

import pytest_asyncio
from forefill_service.engine import EmbeddedEngine
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings

LOOPBACK = Settings(port=0, metrics_port=-1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded_engine() -> AsyncIterator[EmbeddedEngine]:
    """The packaged model on real vLLM, started once a run.

    It lives on the session's event loop, so its tests carry `pytest.mark.asyncio(loop_scope="session")`.
    """
    # Tests that ran before may have started gRPC's threads, which a fork would not survive.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # In bfloat16 a near tie may fall differently where the same tokens are computed in other batches, by processor.
    engine = EmbeddedEngine.start(Settings(engine_args={"dtype": "float32"}))
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded_server(embedded_engine: EmbeddedEngine) -> AsyncIterator[RunningServer]:
    """forefill on loopback in front of real vLLM."""
    async with running_server([embedded_engine], LOOPBACK) as server:
        yield server
