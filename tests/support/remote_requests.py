"""Requests to an engine over HTTP, and what comes of them."""

import asyncio
from contextlib import aclosing
from typing import Any

from forefill_service.cache.blocks import CacheChange
from forefill_service.chat.generation import Output, Sampling
from forefill_service.engine import Engine, Priority, Request
from forefill_service.engine.http import RemoteEngine

from .fake_vllm import WAIT_SECONDS

BLOCK = 16
PROMPT = list(range(1, 2 * BLOCK + 6))


def request(**fields: Any) -> Request:
    """Return a request for the answer to `PROMPT`, but for these fields."""
    return Request(**{"prompt_ids": PROMPT, "sampling": Sampling(), "priority": Priority.GENERATION, **fields})


async def answer(engine: Engine, asked: Request) -> list[Output]:
    """Return all parts of an answer."""
    return [output async for output in engine.generate(asked)]


async def restarted(engine: RemoteEngine) -> None:
    """Wait until the engine reports an empty cache: its server has come back."""
    async with asyncio.timeout(WAIT_SECONDS), aclosing(engine.cache_changes()) as changes:
        assert await anext(changes) == CacheChange(cleared=True)
