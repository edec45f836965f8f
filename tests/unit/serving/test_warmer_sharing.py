"""What sessions share of one engine: its cache, which may be too small for all, and its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from forefill_service.cache.blocks import CacheChange
from forefill_service.engine import EngineLoad, FakeEngine, Priority
from forefill_service.scheduling.admission import Shed
from forefill_service.scheduling.deadlines import Due
from forefill_service.scheduling.prefill_times import Coefficients
from forefill_service.serving.prefiller import Prefiller
from forefill_service.serving.warmer import Warmed, Warmer, Wish
from forefill_service.session.events import CharAdd, Open, WarmMode
from forefill_service.session.ledger import Balance
from forefill_service.session.responses import FlushOutcome, FlushResult, Opened, ShedReason

from tests.support.stage import BLOCK, SYSTEM, Stage, on_stage, settle

TEXT = "Show me all the patients that were seen in May "
MORE = "and say by whom they were seen and what was found then "
SESSIONS, WANTED = 4, 40


# --- what sessions share, and what they may


async def test_sessions_that_open_one_prompt_at_once_compute_it_once() -> None:
    engine = FakeEngine(block_size=BLOCK)
    async with on_stage(engine=engine) as first:
        service = first.backend
        others = [Stage(engine=engine, backend=service) for _ in range(5)]
        await settle()
        assert len(first.warms) == 1
        for other in others:
            other.task.cancel()
            await asyncio.gather(other.task, return_exceptions=True)


async def test_a_flush_that_is_shed_says_why_and_submit_works() -> None:
    async with on_stage() as stage:
        stage.engine.load = EngineLoad(waiting=100)
        await stage.types(TEXT)
        result = stage.flush_result(await stage.flushes())
        assert (result.outcome, result.shed_reason) == (FlushOutcome.SHED, ShedReason.LOAD)
        submit = await stage.submits()
        assert stage.finished(submit).completion_tokens == 8


async def test_a_warm_that_the_engine_refuses_is_shed_as_failed() -> None:
    async with on_stage() as stage:
        stage.engine.faults.refuse = {Priority.WARM: 1}
        await stage.types(TEXT)
        result = stage.flush_result(await stage.flushes())
        assert (result.outcome, result.shed_reason) == (FlushOutcome.SHED, ShedReason.FAILED)


async def test_a_session_whose_warms_are_wasted_is_warmed_less() -> None:
    async with on_stage() as stage:
        stage.backend.waste_limiter.settled(Balance(edited_away=10**6), f"session /{stage.all(Opened)[0].session_id}")
        await stage.types(TEXT)
        result = stage.flush_result(await stage.flushes())
        assert (result.outcome, result.shed_reason) == (FlushOutcome.SHED, ShedReason.PAYBACK)


async def test_wasted_turns_are_booked_to_the_session_and_its_tenant() -> None:
    async with on_stage(tenant="tenant") as stage:
        await stage.types(TEXT)
        await stage.flushes()
        session = stage.all(Opened)[0].session_id
        await stage.hangs_up()
        share = stage.backend.waste_limiter.used_share
        assert share(f"session tenant/{session}") == share("tenant tenant") < 1
        assert share("session another/another") == share("tenant another") == 1


# --- a generation comes first


@asynccontextmanager
async def beside(first: Stage) -> AsyncIterator[Stage]:
    """Run another session on the same engine for the time of the block."""
    stage = Stage(engine=first.engine, backend=first.backend, opening=Open((SYSTEM,), warm_mode=WarmMode.OFF))
    try:
        await settle()
        yield stage
    finally:
        stage.task.cancel()
        await asyncio.gather(stage.task, return_exceptions=True)


async def warm_in_flight(stage: Stage, *, runs: bool) -> int:
    """Have a FLUSH's warm sent beside another's answer, which runs or waits for a step; return the FLUSH's number."""
    stage.engine.sleep, stage.engine.load = stage.engine_gate, EngineLoad(others=1)
    step_seconds = 0.0 if runs else 1e9  # the stage's clock goes on a second each time it is read
    stage.replica.admission.times.coefficients = Coefficients(fixed=step_seconds)
    await stage.types(TEXT)
    stage.engine_gate.held = True
    flush = await stage.flushes()
    assert len(stage.engine_gate.waiting) == 1
    return flush


async def test_a_warm_that_waits_for_a_step_makes_way_for_anothers_submit_and_comes_after_it() -> None:
    async with on_stage() as stage, beside(stage) as other:
        flush = await warm_in_flight(stage, runs=False)
        await other.does(CharAdd("now"))
        answer = await other.submits()
        assert stage.engine.aborted == 1
        [waiting] = stage.engine_gate.waiting
        assert stage.engine.requests[-1].priority is Priority.GENERATION
        stage.engine_gate.open()
        await settle()
        assert not waiting.cancelled()
        assert other.finished(answer).completion_tokens == 8
        assert stage.warms[-1].prompt_ids == stage.warms[-2].prompt_ids
        result = stage.flush_result(flush)
        assert result.outcome is FlushOutcome.WARMED
        ledger = stage.finished(await stage.submits()).ledger
        computed = sum(len(warm.prompt_ids) for warm in stage.warms[:1]) + result.computed_tokens
        assert ledger.computed == computed, "what had not run is not booked"


async def test_a_warm_that_runs_goes_on_beside_anothers_submit() -> None:
    async with on_stage() as stage, beside(stage) as other:
        flush = await warm_in_flight(stage, runs=True)
        await other.does(CharAdd("now"))
        await other.submits()
        assert stage.engine.aborted == 0
        stage.engine_gate.open()
        await settle()
        assert stage.flush_result(flush).outcome is FlushOutcome.WARMED


# --- deadlines


async def test_warms_are_due_when_the_sessions_enter_is_expected_and_urgent_ones_at_once() -> None:
    async with on_stage() as stage:
        owner = stage.runner._owner
        asked: list[Due | None] = []

        class Prefills(Prefiller):
            async def run(self, *args: Any, due: Due | None = None, **kwargs: Any) -> int | None:
                asked.append(due)
                raise Shed(ShedReason.LOAD)

        async def answer(result: FlushResult) -> None:
            pass

        warmer = Warmer(owner, Prefills(owner), answer, enter_at=lambda: 77.0)
        task = asyncio.create_task(warmer.run())
        turn = stage.runner._current_turn
        await warmer.wish(Wish(turn, TEXT, 1))
        await settle()
        ids = await turn.final(TEXT)
        assert await warmer.in_silence(turn, ids) is Warmed.NOT_NOW
        assert await warmer.in_silence(turn, ids, urgent=True) is Warmed.NOT_NOW
        task.cancel()
        flushed, paused, urgent = asked
        assert flushed is not None
        assert paused is not None
        assert urgent is not None
        assert flushed.enter_at is not None
        assert flushed.enter_at() == 77.0
        assert paused.enter_at is flushed.enter_at
        assert urgent.enter_at is not None
        assert urgent.enter_at() < stage.clock()
        assert flushed.cached_tokens + flushed.lacking_tokens <= len(ids)
        assert flushed.lacking_tokens > 0


# --- pauses and evictions


async def test_what_a_silent_session_holds_is_touched_and_booked_as_kept() -> None:
    async with on_stage(touch_seconds=1, touch_limit_seconds=10**6) as stage:
        await stage.types(TEXT)
        held = stage.flush_result(await stage.flushes()).cached_tokens
        warms = len(stage.warms)
        stage.backend.idle_refresher.touch_due()
        await settle()
        assert [len(warm.prompt_ids) for warm in stage.warms[warms:]] == [held]
        submit = await stage.submits()
        assert stage.finished(submit).ledger.kept == BLOCK


async def test_a_session_silent_for_too_long_is_not_touched() -> None:
    async with on_stage(touch_seconds=1, touch_limit_seconds=5) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        warms = len(stage.warms)
        for _ in range(10):
            stage.clock()
        stage.backend.idle_refresher.touch_due()
        await settle()
        assert len(stage.warms) == warms


async def test_what_the_engine_evicted_is_warmed_again_when_the_user_types_on() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        whole = stage.flush_result(await stage.flushes())
        stage.engine.evict()
        stage.replica.blocks.change(CacheChange(cleared=True))
        await stage.types(MORE)
        again = stage.flush_result(await stage.flushes())
        assert again.computed_tokens == again.cached_tokens > whole.cached_tokens


async def test_one_session_alone_computes_more_than_a_piece_after_an_eviction_that_nobody_told_of() -> None:
    engine = FakeEngine(block_size=BLOCK)
    async with on_stage(engine=engine, piece_tokens=BLOCK) as first:
        second = Stage(engine=engine, backend=first.backend)
        for number, stage in enumerate((first, second)):
            await stage.types(f"{number} {TEXT}")
            await stage.flushes()
        engine.evict()
        computed = []
        for stage in (first, second):
            await stage.types(MORE)
            warms = len(first.warms)
            result = stage.flush_result(await stage.flushes())
            computed.append(result.computed_tokens - BLOCK * (len(first.warms) - warms))
        assert computed[0] > 0, "it found out"
        assert computed[1] == 0
        second.task.cancel()
        await asyncio.gather(second.task, return_exceptions=True)


# --- more is wanted than the cache holds


async def test_a_prompt_longer_than_the_cache_is_warmed_as_far_as_that_goes() -> None:
    engine = FakeEngine(block_size=BLOCK, cache_blocks=15)
    async with on_stage(engine=engine, piece_tokens=BLOCK) as stage:
        await stage.types(TEXT + 2 * MORE + TEXT)
        flush = await stage.flushes()
        await settle()
        result = stage.flush_result(flush)
        assert result.stable_tokens // BLOCK == 15
        assert (result.outcome, result.shed_reason) == (FlushOutcome.SHED, ShedReason.LOAD)
        assert result.cached_tokens // BLOCK == 13
        assert [len(warm.prompt_ids) // BLOCK for warm in stage.warms] == list(range(1, 15)), "once too far, no more"


async def want_too_much(*, known: bool) -> tuple[list[FlushResult], int]:
    """Let four sessions want 40 blocks each of a cache of 100; return what each was answered, and the warms of all.

    Either their Enters are expected one after the other, or nothing is `known` of them.
    """
    engine = FakeEngine(block_size=BLOCK, cache_blocks=100)
    async with on_stage(engine=engine, piece_tokens=BLOCK, warms_in_flight=1) as first:
        stages = [first, *(Stage(engine=engine, backend=first.backend) for _ in range(SESSIONS - 1))]
        await settle()
        for stage in () if known else stages:
            stage.runner._warmer._enter_at = None
        engine.sleep = first.engine_gate
        first.engine_gate.held = True
        flushes = []
        for number, stage in enumerate(stages):
            await stage.types(f"{number} " * WANTED * BLOCK)
            flushes.append(await stage.flushes())
        for _ in range(500):
            first.engine_gate.step()
            await settle()
        results = [stage.flush_result(flush) for stage, flush in zip(stages, flushes, strict=True)]
        for other in stages[1:]:
            other.task.cancel()
            await asyncio.gather(other.task, return_exceptions=True)
    assert all(result.stable_tokens >= WANTED * BLOCK for result in results)
    return results, len(first.warms)


async def test_sessions_that_want_more_than_the_cache_holds_do_not_evict_each_other_without_end() -> None:
    results, warms = await want_too_much(known=False)
    assert {(result.outcome, result.shed_reason) for result in results} == {(FlushOutcome.SHED, ShedReason.LOAD)}
    assert warms < SESSIONS * WANTED


async def test_those_whose_enter_is_expected_one_after_the_other_are_warmed_in_that_order_each_once() -> None:
    results, warms = await want_too_much(known=True)
    assert {result.outcome for result in results} == {FlushOutcome.WARMED}
    assert {result.computed_tokens for result in results} == {WANTED * BLOCK}
    assert warms == SESSIONS * (WANTED + 1), "and the beginning of each prompt, which was warmed before"
