"""forefill in this process, in front of servers that run as processes of their own."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from forefill_service.engine.http import RemoteEngine, connect
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings

from .vllm_server import HttpProcess
from .wire import Messages

WAIT_SECONDS = 120
WORDS = [
    "maker",
    "model",
    "year",
    "engine",
    "weight",
    "country",
    "name",
    "horse",
    "power",
    "sold",
    "price",
    "colour",
    "wheel",
    "list",
    "count",
    "order",
]
TOUCHED_TOKENS = 64
"""A server that has only been probed has worked on fewer tokens than this."""


def new_context(words: int = 300) -> Messages:
    """Return a system prompt that has not been used before."""
    return [("system", " ".join(random.choices(WORDS, k=words)) + ".")]


@dataclass(frozen=True, slots=True)
class Front:
    """forefill, and its engines by the URL of their server."""

    running: RunningServer
    engines: dict[str, RemoteEngine]

    @property
    def address(self) -> str:
        return self.running.address

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():  # noqa: ASYNC110 (other processes set no event of ours)
                await asyncio.sleep(0.05)


def settings_for(*urls: str, **more: Any) -> Settings:
    """Return settings with which a loss is noticed within seconds."""
    return Settings(
        **{
            "engine": "remote",
            "engine_url": list(urls),
            "port": 0,
            "metrics_port": -1,
            "probe_seconds": 2,
            "probe_timeout_seconds": 8,
            "pregeneration": False,
            **more,
        }
    )


@asynccontextmanager
async def forefill_in_front_of(*servers: HttpProcess, **more: Any) -> AsyncIterator[Front]:
    """Run forefill in front of these servers within the block."""
    settings = settings_for(*(server.url for server in servers), **more)
    engines = await connect(settings)
    try:
        async with running_server(engines, settings) as server:
            yield Front(server, {engine.name: engine for engine in engines})
    finally:
        for engine in engines:
            await engine.close()


async def worked(servers: Sequence[HttpProcess]) -> list[float]:
    """Return how many tokens each server has worked on so far, those that it found cached included."""
    return [(await server.metrics()).tokens for server in servers]


async def computed(servers: Sequence[HttpProcess]) -> list[float]:
    """Return how many tokens each server has computed so far; of those that it worked on, the cached ones are not."""
    return [now.tokens - now.hits for now in [await server.metrics() for server in servers]]


async def computed_at_rest(servers: Sequence[HttpProcess]) -> list[float]:
    """Return the same once it stays the same: forefill measures a server for a while after it has found it."""
    last, now = [-1.0], await computed(servers)
    async with asyncio.timeout(WAIT_SECONDS):
        while now != last:
            await asyncio.sleep(1)
            last, now = now, await computed(servers)
    return now


async def touched(servers: Sequence[HttpProcess], before: Sequence[float]) -> list[int]:
    """Return the numbers of the servers that have worked on more than probes since then."""
    now = await worked(servers)
    return [number for number, (a, b) in enumerate(zip(before, now, strict=True)) if b - a > TOUCHED_TOKENS]
