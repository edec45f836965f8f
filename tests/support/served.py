"""A whole server in this process, on the fake engine, that a test may stop before its block ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine import FakeEngine
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings

from .stage import Gate
from .wire import Typist

SYSTEM = ("system", "You write SQL for a clinic. " * 8)
TEXT = "Show me all the patients that were seen by a doctor in the last year, and say when "
SECONDS_TO_GIVE_UP = 30
"""None of these tests takes long; one that hangs fails."""

SETTINGS = Settings(port=0, metrics_port=-1, go_away_seconds=0, stop_grace_seconds=2 * SECONDS_TO_GIVE_UP)


def changed(settings: Settings, **flat: Any) -> Settings:
    """Return a copy in which these are other, by their flat names."""
    groups = (group.model_dump(by_alias=True) for group in dict(settings).values())
    return Settings(**{name: value for group in groups for name, value in group.items()} | flat)


@dataclass(frozen=True)
class Served:
    """A running server that a test may stop before its block ends."""

    running: RunningServer
    engine: FakeEngine
    gate: Gate
    stack: AsyncExitStack

    @property
    def address(self) -> str:
        return self.running.address

    def begins_to_stop(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self.stack.aclose())

    def sample(self, name: str, **labels: str) -> float | None:
        return self.running.backend.metrics.registry.get_sample_value(f"forefill_{name}", labels)


@asynccontextmanager
async def served(
    engine: FakeEngine | None = None, settings: Settings = SETTINGS, hurry: asyncio.Event | None = None
) -> AsyncIterator[Served]:
    """Serve an engine whose work waits at a gate; the gate stands open at first."""
    engine, gate = engine or FakeEngine(), Gate()
    engine.sleep = gate
    async with asyncio.timeout(SECONDS_TO_GIVE_UP), AsyncExitStack() as stack:
        running = await stack.enter_async_context(running_server([engine], settings, hurry=hurry))
        try:
            yield Served(running, engine, gate, stack)
        finally:
            gate.open()


async def ended_by(typist: Typist) -> grpc.aio.AioRpcError:
    """Return what ends the stream, past all that still comes."""
    try:
        while True:
            await typist.read()
    except grpc.aio.AioRpcError as error:
        return error


async def until(condition: Any) -> None:
    """Wait for what has no event of its own."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


class Aborted(Exception):
    """What `abort` raises, as gRPC's does."""


class Context:
    """The server's end of a stream whose client opens and is gone; remembers how the stream was ended."""

    def __init__(self, before_open: Callable[[], None] = lambda: None) -> None:
        self.code: grpc.StatusCode | None = None
        self.opening = pb.ComposeRequest(open=pb.Open()).SerializeToString()
        self.reads = 0
        self._before_open = before_open

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def auth_context(self) -> dict[str, list[bytes]]:
        return {}

    async def read(self) -> bytes:
        self.reads += 1
        if self.reads > 1:
            await asyncio.Event().wait()
        self._before_open()
        return self.opening

    async def write(self, message: object) -> None:
        raise grpc.aio.InternalError

    async def abort(self, code: grpc.StatusCode, *_: object) -> None:
        self.code = code
        raise Aborted
