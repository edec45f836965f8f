"""What tests of silences share: texts, modes, and how a session pauses."""

import asyncio
import re

from forefill_service.engine import EngineLoad, FakeEngine
from forefill_service.session.events import Open, PregenerationMode

from tests.support.stage import BLOCK, SYSTEM, Stage, settle, user

LONG = "and say by whom they were seen and what was found then " * 4
PIECE = 2 * BLOCK
OFF = Open((SYSTEM,), pregeneration_mode=PregenerationMode.OFF)
OVERLOADED = EngineLoad(waiting=1000)


def by_code_points() -> FakeEngine:
    """Return an engine with a token for each code point, as byte-level tokenizers have in scripts unknown to them."""
    engine = FakeEngine(block_size=BLOCK)
    engine.chat._TOKEN = re.compile(r"<\|start\|>|<\|end\|>|.", re.DOTALL)
    return engine


async def pauses(stage: Stage) -> None:
    """Pause, until all that comes of it has come."""
    await stage.pauses()
    for _ in range(10):
        await settle()


def warmed_since(stage: Stage, warms: int) -> list[list[int]]:
    return [warm.prompt_ids for warm in stage.warms[warms:]]


def common_with(stage: Stage, text: str, ids: list[int]) -> bool:
    return stage.prompt_ids(user(text))[: len(ids)] == ids


def beside(stage: Stage) -> Stage:
    """Begin another session on the same engine, with the same gates before it."""
    other = Stage(engine=stage.engine, backend=stage.backend)
    stage.engine.sleep = stage.engine_gate
    return other


async def leaves(stage: Stage) -> None:
    stage.task.cancel()
    await asyncio.gather(stage.task, return_exceptions=True)
