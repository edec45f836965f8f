"""A server without a model inside another program: what `forefill_client.testing` runs, which finds it by its name."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from .engine import FakeEngine
from .server import running_server
from .settings import GROUPS, Settings


@dataclass(frozen=True, slots=True)
class FakeService:
    """A running server on the fake engine; its methods may be called from any thread."""

    address: str
    engine: FakeEngine

    def answer_with(self, text: str) -> None:
        """Give all answers this text; "" for made-up words."""
        self.engine.answer_text = text

    def refuse_answers(self, count: int) -> None:
        """Refuse the next answers."""
        self.engine.faults.refuse_answers = count

    def break_answers(self, count: int) -> None:
        """Lose the engine in the middle of the next answers."""
        self.engine.faults.break_answers = count

    def take_down(self, down: bool) -> None:
        """Have the engine fail whatever it runs and is asked, until it is up again."""
        self.engine.faults.down = down


@asynccontextmanager
async def fake_service(flags: Mapping[str, Any]) -> AsyncIterator[FakeService]:
    """Serve the fake engine for the time of the block, on loopback, without ports for metrics and health.

    `flags` are those of forefill-server, with underscores. The environment is ignored. Raises TypeError for a name that
    is none of them, ValueError for a bad value.
    """
    settings = _settings(flags)
    engine = FakeEngine.of(settings)
    at_its_speed, engine.sleep = engine.sleep, _at_once  # the self-test would take seconds on a slow engine
    try:
        async with running_server([engine], settings) as server:
            engine.sleep = at_its_speed
            yield FakeService(server.address, engine)
    finally:
        await engine.close()


async def _at_once(_: float) -> None:
    await asyncio.sleep(0)


def _settings(flags: Mapping[str, Any]) -> Settings:
    known = {flag for group in GROUPS.values() for flag in group.by_flag()} - {"engine"}
    if unknown := flags.keys() - known:
        raise TypeError(f"a server on the fake engine has no flag {', '.join(sorted(unknown))}")
    flags = {"port": 0, "metrics_port": -1, "health_port": -1, **flags, "engine": "fake"}
    return Settings(
        **{
            name: group(**{flag: flags[flag] for flag in group.by_flag() if flag in flags})
            for name, group in GROUPS.items()
        }
    )
