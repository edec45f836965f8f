"""A session with pre-generation in typing pauses, on its stage."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from forefill_service.chat.generation import Sampling
from forefill_service.session.events import Open
from forefill_service.session.responses import GenerationDelta

from .stage import SYSTEM, Stage, on_stage, settle

TEXT = "Show me all the patients that were seen in May"
ANSWER_TOKENS = 8
SEEDED = Open((SYSTEM,), sampling=Sampling(temperature=0.8, seed=1))


def pausing(*args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Stage]:
    """Return a session that begins answers in typing pauses."""
    return on_stage(*args, **{"pregeneration": True, **kwargs})


def deltas(stage: Stage, seq: int) -> list[str]:
    return [delta.text for delta in stage.all(GenerationDelta) if delta.seq == seq]


async def plain_answer(text: str = TEXT) -> str:
    async with on_stage() as stage:
        return "".join(deltas(stage, await stage.submits(text)))


async def steps(stage: Stage, count: int) -> None:
    """Let the engine do this many steps; the first step of a request is its prefill."""
    for _ in range(count):
        stage.engine_gate.step()
        await settle()


async def begins(stage: Stage, text: str = TEXT, tokens: int = 0) -> None:
    """Type, pause, and have this many tokens of the answer generated."""
    await stage.types(text)
    stage.engine_gate.held = True
    await stage.pauses()
    if tokens:
        await steps(stage, 1 + tokens)
