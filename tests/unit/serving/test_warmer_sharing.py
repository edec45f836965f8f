"""What sessions share of one engine: its cache, which may be too small for all, and its time."""

import asyncio

from forefill_service.cache.blocks import CacheChange
from forefill_service.engine import EngineLoad, FakeEngine, Priority
from forefill_service.session.ledger import Balance
from forefill_service.session.responses import FlushOutcome, Opened, ShedReason

from tests.support.stage import BLOCK, Stage, on_stage, settle

TEXT = "Show me all the patients that were seen in May "
MORE = "and say by whom they were seen and what was found then "


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
        stage.backend.waste_limiter.settled(Balance(edited_away=10**6), f"session {stage.all(Opened)[0].session_id}")
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
        assert share(f"session {session}") == share("tenant tenant") < 1
        assert share("session another") == share("tenant another") == 1


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


async def test_sessions_that_want_more_than_the_cache_holds_do_not_evict_each_other_without_end() -> None:
    engine, sessions, wanted = FakeEngine(block_size=BLOCK, cache_blocks=100), 4, 40
    async with on_stage(engine=engine, piece_tokens=BLOCK, warms_in_flight=1) as first:
        stages = [first, *(Stage(engine=engine, backend=first.backend) for _ in range(sessions - 1))]
        await settle()
        engine.sleep = first.engine_gate
        first.engine_gate.held = True
        flushes = []
        for number, stage in enumerate(stages):
            await stage.types(f"{number} " * wanted * BLOCK)
            flushes.append(await stage.flushes())
        for _ in range(500):
            first.engine_gate.step()
            await settle()
        results = [stage.flush_result(flush) for stage, flush in zip(stages, flushes, strict=True)]
        assert all(result.stable_tokens >= wanted * BLOCK for result in results)
        assert {(result.outcome, result.shed_reason) for result in results} == {(FlushOutcome.SHED, ShedReason.LOAD)}
        assert len(first.warms) < sessions * wanted
        for other in stages[1:]:
            other.task.cancel()
            await asyncio.gather(other.task, return_exceptions=True)
