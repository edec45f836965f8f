"""Our engine in front of a vLLM server without a model."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from forefill_service.engine import FakeChat
from forefill_service.engine.http import RemoteEngine
from forefill_service.engine.http.discovery import ServedModel
from forefill_service.engine.http.endpoint import Endpoint
from forefill_service.settings import Settings

from .fake_vllm import FakeVllm

REASONS = frozenset({"Roles must alternate"})
"""The reasons that stand in the template of the server's model."""


def remote_settings(*urls: str, **settings: Any) -> Settings:
    """Return settings for remote engines that are probed often; a probe has the time that a loaded machine may need."""
    return Settings(
        **{
            "engine": "remote",
            "engine_url": list(urls),
            "port": 0,
            "metrics_port": -1,
            "connect_timeout_seconds": 10,
            "probe_seconds": 0.2,
            "probe_timeout_seconds": 30,
            **settings,
        }
    )


@asynccontextmanager
async def remote_engine(
    server: FakeVllm, clock: Callable[[], float] | None = None, **settings: Any
) -> AsyncIterator[RemoteEngine]:
    """Connect to a fake server as if it had been discovered, and probe it once."""
    asked = remote_settings(server.url, **settings)
    endpoint = Endpoint(server.url, connect_seconds=asked.remote.connect_timeout_seconds)
    served = ServedModel(
        server.engine.info, FakeChat(), server.faults.priorities, server.faults.tells_cached, reasons=REASONS
    )
    engine = RemoteEngine(endpoint, served, asked, clock=clock)
    try:
        await engine.monitor.probe()
        yield engine
    finally:
        await engine.close()
