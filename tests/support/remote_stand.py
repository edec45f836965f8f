"""A service in front of a vLLM server without a model that answers oddly, all on one event loop."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from forefill_service.engine.http import RemoteEngine
from forefill_service.server import RunningServer, running_server

from .fake_vllm import FakeVllm, fake_vllm
from .log_text import log_text
from .odd_answers import CANARY
from .remote_engine import remote_engine, remote_settings

T = TypeVar("T")
ANSWER_TOKENS = 4
SECONDS_TO_GIVE_UP = 20


@dataclass(repr=False)
class Stand:
    """A service in front of a fake vLLM server, what both logged, and the bodies of the answers last asked for."""

    runner: asyncio.Runner
    vllm: FakeVllm
    engine: RemoteEngine
    server: RunningServer
    log: io.StringIO
    answers: list[dict[str, Any]] = field(default_factory=list)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        async def limited() -> T:
            async with asyncio.timeout(SECONDS_TO_GIVE_UP):
                return await work

        self.log.seek(0)
        self.log.truncate()
        try:
            return self.runner.run(limited())
        finally:
            self.vllm.faults.twist, self.vllm.faults.twists_all, self.vllm.faults.status = None, False, None
            self.vllm.faults.says = {}
            asked = self.vllm.bodies if self.vllm.render_status == 200 else self.vllm.chats
            self.answers = [body for body in asked if body.get("max_tokens") != 1]
            self.vllm.bodies.clear()
            self.vllm.chats.clear()

    def leaked(self, said: str) -> bool:
        """Whether the canary was said, or logged."""
        return CANARY in said or CANARY in self.log.getvalue()


@contextmanager
def stand(**knobs: Any) -> Iterator[Stand]:
    """Serve on an event loop of its own within the block; the server has these knobs."""
    with log_text(logging.Formatter()) as log, asyncio.Runner() as runner:
        stack = AsyncExitStack()
        vllm, engine, server = runner.run(stack.enter_async_context(_served(knobs)))
        try:
            yield Stand(runner, vllm, engine, server, log)
        finally:
            runner.run(stack.aclose())


@asynccontextmanager
async def _served(knobs: Mapping[str, Any]) -> AsyncIterator[tuple[FakeVllm, RemoteEngine, RunningServer]]:
    flags: dict[str, Any] = {"probe_seconds": 1000, "pregeneration": False, "token_timeout_seconds": 5}
    async with fake_vllm(answer_tokens=ANSWER_TOKENS, adapters={"sql": "/models/sql"}) as vllm:
        for name, value in knobs.items():
            setattr(vllm, name, value)
        vllm.faults.words = f"{CANARY} at http://10.1.2.3:8000"
        async with remote_engine(vllm, **flags) as engine:
            engine.monitor.watch = _forever  # type: ignore[method-assign]
            service = running_server([engine], remote_settings(vllm.url, go_away_seconds=0, **flags))
            async with service as server:
                vllm.bodies.clear()  # those of the self-test
                yield vllm, engine, server


async def _forever() -> None:
    """Probe only where a test does: what runs between two examples would meet the faults of both."""
    await asyncio.Event().wait()
