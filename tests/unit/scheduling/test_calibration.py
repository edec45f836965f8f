"""What is measured of an engine at its start."""

import asyncio

from forefill_service.engine import FakeEngine
from forefill_service.scheduling.calibration import ANSWER, calibrate
from forefill_service.scheduling.prefill_times import PrefillTimes

BLOCK = 4
STEP_SECONDS = 0.125


class Clock:
    """Goes on while the engine works: an eighth of a second at each of its steps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def step(self, *_: object) -> None:
        self.now += STEP_SECONDS


async def test_a_short_answer_shows_how_long_a_step_takes() -> None:
    clock, times, engine = Clock(), PrefillTimes(), FakeEngine(block_size=BLOCK, context_tokens=400)
    engine.sleep = clock.step
    await calibrate(engine, times, clock)
    assert times.step_seconds == STEP_SECONDS
    assert engine.requests[-1].sampling == ANSWER
    assert len({request.cache_salt for request in engine.requests}) > 2, "no request finds what another has cached"


async def test_a_slow_engine_is_not_asked_for_more_than_one_block() -> None:
    clock, times, engine = Clock(), PrefillTimes(), FakeEngine(block_size=BLOCK, context_tokens=400)

    async def slowly(*_: object) -> None:
        clock.now += 10.0
        await asyncio.sleep(0)

    engine.sleep = slowly
    await calibrate(engine, times, clock)
    assert max(len(request.prompt_ids) for request in engine.requests) == BLOCK
    assert max(request.sampling.max_tokens or 0 for request in engine.requests) == 1
