"""What becomes of each FLUSH: which warms are sent for it, and how it is answered."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from forefill_service.chat.token_ids import common_length
from forefill_service.engine import FakeEngine, Output, Priority, Request
from forefill_service.errors import Reason
from forefill_service.session.events import CharAdd, CharDelete, Open, Replace
from forefill_service.session.responses import FlushOutcome, FlushResult, ShedReason

from tests.support.stage import BLOCK, SYSTEM, Stage, on_stage, settle, user

TEXT = "Show me all the patients that were seen in May "
MORE = "and say by whom they were seen and what was found then "


async def in_flight(stage: Stage, text: str = TEXT) -> int:
    """Type and flush a text whose warm the engine then works on; return the FLUSH's number."""
    await stage.types(text)
    stage.engine_gate.held = True
    flush = await stage.flushes()
    assert len(stage.engine_gate.waiting) == 1
    return flush


async def let_go(stage: Stage) -> None:
    stage.engine_gate.open()
    await settle()


async def test_a_flush_warms_every_whole_block_of_the_stable_ids() -> None:
    async with on_stage() as stage:
        base = stage.warms[0].prompt_ids
        await stage.types(TEXT)
        result = stage.flush_result(await stage.flushes())
        warm, whole = stage.warms[1].prompt_ids, stage.prompt_ids(user(TEXT + "x"))
        assert warm == whole[: len(warm)]
        assert result == FlushResult(
            seq=2,
            confirmed_code_points=len(TEXT),
            outcome=FlushOutcome.WARMED,
            stable_tokens=result.stable_tokens,
            cached_tokens=len(warm),
            computed_tokens=len(warm) - len(base),
            cached_code_points=result.cached_code_points,
        )
        assert len(warm) == result.stable_tokens // BLOCK * BLOCK


async def test_a_flush_result_says_how_much_of_the_draft_is_cached() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        result = stage.flush_result(await stage.flushes())
        cached = result.cached_code_points
        assert cached is not None
        assert 0 < cached < len(TEXT)
        shared = common_length(stage.prompt_ids(user(TEXT[:cached])), stage.prompt_ids(user(TEXT)))
        assert shared == result.cached_tokens


async def test_a_flush_that_completes_no_block_sends_nothing() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        warms = len(stage.warms)
        result = stage.flush_result(await stage.flushes())
        assert (result.outcome, result.computed_tokens) == (FlushOutcome.NOTHING_NEW, 0)
        assert result.cached_tokens == result.stable_tokens // BLOCK * BLOCK
        assert len(stage.warms) == warms


async def test_what_another_session_cached_is_not_computed_again() -> None:
    engine = FakeEngine(block_size=BLOCK)
    async with on_stage(engine=engine) as first:
        await first.types(TEXT)
        warmed = first.flush_result(await first.flushes())
    async with on_stage(engine=engine) as second:
        await second.types(TEXT)
        result = second.flush_result(await second.flushes())
        assert result.outcome is FlushOutcome.WARMED
        assert result.cached_tokens == warmed.cached_tokens
        assert result.computed_tokens == BLOCK, "the last block is computed to know that all is there"


async def test_a_text_that_comes_back_finds_its_blocks() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        await stage.does(Replace(0, 4, "List"))
        await stage.flushes()
        await stage.does(Replace(0, 4, "Show"))
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.NOTHING_NEW


async def test_a_warm_is_no_longer_than_a_piece() -> None:
    async with on_stage(piece_tokens=BLOCK) as stage:
        base = len(stage.warms[-1].prompt_ids)
        await stage.types(TEXT)
        result = stage.flush_result(await stage.flushes())
        assert [len(warm.prompt_ids) for warm in stage.warms] == list(range(BLOCK, result.cached_tokens + 1, BLOCK))
        assert result.computed_tokens == result.cached_tokens - base


async def test_one_warm_is_in_flight_at_a_time() -> None:
    async with on_stage() as stage:
        await in_flight(stage)
        for _ in range(3):
            await stage.types(MORE)
            await stage.flushes()
        assert len(stage.warms) == 2


async def test_the_latest_flush_wins() -> None:
    async with on_stage() as stage:
        first = await in_flight(stage)
        await stage.types(MORE)
        middle = await stage.flushes()
        await stage.types(MORE)
        assert stage.all(FlushResult) == []
        last = await stage.flushes()
        assert stage.flush_result(middle).outcome is FlushOutcome.DEFERRED
        assert stage.flush_result(middle).stable_tokens == 0
        await let_go(stage)
        assert stage.flush_result(first).outcome is FlushOutcome.WARMED, "its own warm was on the way"
        result = stage.flush_result(last)
        assert result.outcome is FlushOutcome.WARMED
        assert [len(warm.prompt_ids) for warm in stage.warms[2:]] == [result.cached_tokens]


async def test_a_flush_that_a_later_one_overtakes_between_pieces_is_deferred() -> None:
    async with on_stage(piece_tokens=BLOCK) as stage:
        first = await in_flight(stage)
        await stage.types(MORE)
        last = await stage.flushes()
        await let_go(stage)
        result = stage.flush_result(first)
        assert (result.outcome, result.computed_tokens) == (FlushOutcome.DEFERRED, BLOCK)
        assert 0 < result.cached_tokens < result.stable_tokens // BLOCK * BLOCK
        assert stage.flush_result(last).outcome is FlushOutcome.WARMED


async def test_after_an_edit_into_the_confirmed_text_only_what_is_left_of_it_is_warmed() -> None:
    async with on_stage(piece_tokens=BLOCK) as stage:
        flush = await in_flight(stage)
        warms = len(stage.warms)
        await stage.does(CharDelete(20))
        await let_go(stage)
        left = stage.prompt_ids(user(TEXT[:-20] + "x"))
        later = [warm.prompt_ids for warm in stage.warms[warms:]]
        assert later
        assert all(ids == left[: len(ids)] for ids in later)
        assert stage.flush_result(flush).outcome is FlushOutcome.DEFERRED
        assert stage.engine.aborted == 0, "what is in flight goes on"


async def test_an_edit_behind_the_confirmed_text_stops_nothing() -> None:
    async with on_stage(piece_tokens=BLOCK) as stage:
        flush = await in_flight(stage)
        await stage.types("and then")
        await stage.does(CharDelete(8))
        await let_go(stage)
        assert stage.flush_result(flush).outcome is FlushOutcome.WARMED


async def test_an_edit_during_the_rendering_sends_nothing_of_what_was_edited_away() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        stage.render_gate.held = True
        flush = await stage.flushes()
        await stage.does(CharDelete(20))
        stage.render_gate.open()
        await settle()
        assert stage.flush_result(flush).outcome is FlushOutcome.DEFERRED
        left = stage.prompt_ids(user(TEXT[:-20] + "x"))
        assert all(warm.prompt_ids == left[: len(warm.prompt_ids)] for warm in stage.warms)


async def test_an_edit_before_the_rendering_defers_the_flush_at_once() -> None:
    async with on_stage() as stage:
        await in_flight(stage)
        await stage.types(MORE)
        waiting = await stage.flushes()
        await stage.does(CharDelete(5))
        assert stage.flush_result(waiting).outcome is FlushOutcome.DEFERRED


async def test_after_an_edit_only_what_changed_is_warmed() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        at = TEXT.index("seen")
        await stage.does(Replace(at, at + 4, "heard of"))
        result = stage.flush_result(await stage.flushes())
        common = common_length(stage.prompt_ids(user(TEXT)), stage.prompt_ids(user(stage.draft)))
        assert result.outcome is FlushOutcome.WARMED
        assert result.computed_tokens == result.cached_tokens - common // BLOCK * BLOCK


async def test_a_refused_warm_is_shed_and_the_next_flush_tries_again() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        stage.engine.faults.refuse = {Priority.WARM: 1}
        refused = stage.flush_result(await stage.flushes())
        assert (refused.outcome, refused.computed_tokens) == (FlushOutcome.SHED, 0)
        assert refused.cached_tokens == len(stage.warms[0].prompt_ids)
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.WARMED


class Defective(FakeEngine):
    """Fails its warms with what no engine should raise."""

    defect: Exception | None = None

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        if request.priority is Priority.WARM and self.defect is not None:
            raise self.defect
        async for output in super().generate(request):
            yield output


async def test_after_a_dropped_warm_the_next_turn_is_warmed() -> None:
    async with on_stage() as stage:
        await in_flight(stage)
        await stage.submits("List " + TEXT)
        assert stage.engine.aborted == 1
        await let_go(stage)
        await stage.types(TEXT)
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.WARMED


async def test_a_defect_of_a_warm_costs_speed_alone(caplog: pytest.LogCaptureFixture) -> None:
    engine = Defective(block_size=BLOCK)
    async with on_stage(engine=engine) as stage:
        await stage.types(TEXT)
        engine.defect = ZeroDivisionError("a defect")
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.SHED
        engine.defect = None
        submit = await stage.submits()
        assert stage.finished(submit).ledger.abandoned > 0


async def test_a_defect_of_a_rendering_for_a_warm_costs_speed_alone() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        encode = stage.engine.chat.encode

        def broken(text: str) -> list[int]:
            raise ZeroDivisionError

        stage.engine.chat.encode = broken  # type: ignore[method-assign]
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.SHED
        stage.engine.chat.encode = encode  # type: ignore[method-assign]
        assert stage.finished(await stage.submits()).prompt_tokens == len(stage.prompt_ids(user(TEXT)))


async def test_a_next_turn_that_no_longer_fits_sheds_its_flushes() -> None:
    async with on_stage(engine=FakeEngine(block_size=BLOCK, context_tokens=50, answer_tokens=20)) as stage:
        assert stage.finished(await stage.submits(TEXT[:20])).reason == "stop"
        await stage.types("and ")
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.SHED


async def test_a_draft_that_no_longer_fits_is_not_warmed_and_its_flush_says_so() -> None:
    async with on_stage(engine=FakeEngine(block_size=BLOCK, context_tokens=64)) as stage:
        await stage.types("word " * 30)
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.WARMED
        warms = len(stage.warms)
        await stage.types("word " * 60)
        result = stage.flush_result(await stage.flushes())
        assert (result.outcome, result.shed_reason) == (FlushOutcome.SHED, ShedReason.FAILED)
        assert (result.stable_tokens, result.computed_tokens) == (0, 0)
        assert len(stage.warms) == warms
        seq = await stage.submits()
        assert stage.error(seq).reason is Reason.PROMPT_TOO_LONG


async def test_a_base_prompt_that_was_shed_is_warmed_with_the_first_flush() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.faults.refuse = {Priority.WARM: 1}
    async with on_stage(engine=engine) as stage:
        assert len(stage.warms) == 1
        await stage.types("Show ")
        result = stage.flush_result(await stage.flushes())
        assert result.computed_tokens == result.cached_tokens > 0


async def test_a_flush_of_nothing_is_answered_when_the_base_prompt_is_warm() -> None:
    stage = Stage()
    stage.engine_gate.held = True
    await settle()
    flush = await stage.flushes()
    assert stage.all(FlushResult) == []
    await let_go(stage)
    assert stage.flush_result(flush).cached_tokens == len(stage.warms[0].prompt_ids)
    stage.task.cancel()
    await asyncio.wait({stage.task})


async def test_warms_ask_for_one_token_below_every_generation() -> None:
    async with on_stage(Open((SYSTEM,))) as stage:
        await stage.does(CharAdd(TEXT))
        await stage.flushes()
        await stage.submits()
        assert {warm.sampling.max_tokens for warm in stage.warms} == {1}
        assert all(warm.priority > stage.generations[0].priority for warm in stage.warms)
