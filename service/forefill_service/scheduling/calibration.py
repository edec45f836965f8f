"""Measures at start-up how fast the engine computes prompts and makes answers: the first pieces have the right size."""

import secrets
from collections.abc import Callable

from ..chat.generation import Sampling
from ..engine.base import Engine, Priority, Request, warm
from ..engine.probes import filler_ids
from .prefill_times import PrefillTimes

LONG_TOKENS = 256
ANSWER = Sampling(max_tokens=9, temperature=0.0)
SLOW_SECONDS = 0.5
"""If one block takes this long, nothing longer is tried: start-up would take minutes."""


async def calibrate(engine: Engine, times: PrefillTimes, clock: Callable[[], float]) -> None:
    """Compute a few prompts with cache salts of their own, alone on the engine, and a short answer; learn their times.

    Raises EngineRefused, EngineUnavailable.
    """
    block = engine.info.block_size
    longest = min(LONG_TOKENS, engine.info.context_tokens - 2 * block - 1)
    long = longest - longest % block

    async def measure(salt: str, cached: int, new: int) -> float:
        ids = filler_ids(engine.chat, cached + new)
        began_at = clock()
        found = await warm(engine, ids, salt, route=salt)
        seconds = clock() - began_at
        found = cached if found is None else found
        times.observe(len(ids) - found, found, seconds)
        return seconds

    if block >= engine.info.context_tokens:
        return
    await warm(engine, filler_ids(engine.chat, block), secrets.token_hex(8))  # the first request is slow on any engine
    for _ in range(2):
        salt = secrets.token_hex(8)
        if await measure(salt, 0, block) > SLOW_SECONDS or long <= block:
            return
        salt = secrets.token_hex(8)
        await measure(salt, 0, long)
        await measure(salt, long, block)
    await _measure_steps(engine, times, clock)


async def _measure_steps(engine: Engine, times: PrefillTimes, clock: Callable[[], float]) -> None:
    salt = secrets.token_hex(8)
    ids = filler_ids(engine.chat, engine.info.block_size)
    began_at, steps = 0.0, 0
    async for output in engine.generate(Request(ids, ANSWER, Priority.WARM, salt, salt)):
        if not began_at:
            began_at = clock()
        else:
            steps += len(output.token_ids)
    times.observe_steps(clock() - began_at, steps)
