"""A fake engine with continuous batching: its requests share the steps of a model of vLLM's scheduler."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from forefill_bench.sim.stepping import Stepping
from forefill_bench.sim.steps import Step, StepModel
from forefill_service.chat.generation import Sampling
from forefill_service.engine import FakeEngine, Output, Priority, Request
from forefill_service.errors import EngineRefused, EngineUnavailable
from forefill_service.scheduling.prefill_times import Coefficients

from tests.support.stage import Gate, settle

BLOCK = 16
PROMPT = list(range(100, 100 + 3 * BLOCK + 5))
STEPS = StepModel(Coefficients(fixed=1.0, per_token=0.5), max_batched_tokens=32)
"""Seconds that are sums of powers of two, so that times can be compared."""


def stepping_engine(
    model: StepModel = STEPS,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    on_step: Callable[[Step], None] = lambda step: None,
    **options: Any,
) -> FakeEngine:
    return FakeEngine(scheduler=lambda engine: Stepping(engine, model, sleep=sleep, on_step=on_step), **options)


def request(ids: list[int] = PROMPT, priority: Priority = Priority.GENERATION, max_tokens: int = 4) -> Request:
    return Request(ids, Sampling(max_tokens=max_tokens), priority)


async def answer(engine: FakeEngine, asked: Request) -> list[Output]:
    return [output async for output in engine.generate(asked)]


async def test_all_requests_share_the_steps() -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    engine = stepping_engine(block_size=BLOCK, sleep=sleep)
    alone = await answer(engine, request(max_tokens=2))
    assert slept == [1 + 0.5 * 32, 1 + 0.5 * (len(PROMPT) - 32), 1 + 0.5]
    slept.clear()
    both = await asyncio.gather(answer(engine, request([1], max_tokens=2)), answer(engine, request([2], max_tokens=2)))
    assert slept == [1 + 0.5 * 2, 1 + 0.5 * 2]
    assert [len(outputs) for outputs in (alone, *both)] == [2, 2, 2]


async def test_the_answers_are_those_of_an_engine_without_steps() -> None:
    for ids in (PROMPT, PROMPT[:5]):
        by_steps = await answer(stepping_engine(sleep=Gate()), request(ids))
        assert by_steps == await answer(FakeEngine(), request(ids))


async def test_it_tells_its_load() -> None:
    gate = Gate()
    gate.held = True
    engine = stepping_engine(block_size=BLOCK, cache_blocks=8, sleep=gate)
    running = asyncio.create_task(answer(engine, request(PROMPT[:BLOCK], max_tokens=BLOCK + 1)))
    await settle()
    gate.step()
    await settle()
    assert (engine.load.running, engine.load.waiting, engine.load.cache_usage) == (1, 0, 0.25)
    gate.open()
    await running
    assert engine.load.running == 0


async def test_a_request_that_is_stopped_makes_room_at_once() -> None:
    gate = Gate()
    gate.held = True
    engine = stepping_engine(block_size=BLOCK, cache_blocks=2, sleep=gate)
    stopped = asyncio.create_task(answer(engine, request(PROMPT[: 2 * BLOCK], max_tokens=1)))
    await settle()
    waits = asyncio.create_task(answer(engine, request(PROMPT[1 : 2 * BLOCK], max_tokens=1)))
    await settle()
    stopped.cancel()
    gate.open()
    assert len(await waits) == 1
    assert engine.aborted == 1


async def test_a_prompt_larger_than_the_cache_is_refused() -> None:
    engine = stepping_engine(block_size=BLOCK, cache_blocks=2)
    with pytest.raises(EngineRefused, match="more blocks than the cache has"):
        await answer(engine, request())


async def test_every_step_is_told_when_it_is_done() -> None:
    told: list[Step] = []
    engine = stepping_engine(block_size=BLOCK, sleep=Gate(), on_step=told.append)
    await answer(engine, request(priority=Priority.WARM, max_tokens=1))
    assert [[(part.job.priority, part.new_tokens) for part in step.parts] for step in told] == [
        [(Priority.WARM, 32)],
        [(Priority.WARM, len(PROMPT) - 32)],
    ]


async def test_a_request_is_on_its_way_first() -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    model = StepModel(Coefficients(fixed=1.0, per_token=0.5), on_the_way=0.25)
    await answer(stepping_engine(model, sleep=sleep), request([1], max_tokens=1))
    assert slept == [0.25, 1.5]


async def test_closing_it_fails_what_runs() -> None:
    gate = Gate()
    gate.held = True
    engine = stepping_engine(sleep=gate)
    running = asyncio.create_task(answer(engine, request()))
    await settle()
    await engine.close()
    with pytest.raises(EngineUnavailable):
        await running


async def test_what_it_is_told_to_hold_is_found() -> None:
    engine = stepping_engine(block_size=BLOCK, sleep=Gate())
    engine.hold(PROMPT)
    [output] = await answer(engine, request(max_tokens=1))
    assert output.cached_tokens == 3 * BLOCK
