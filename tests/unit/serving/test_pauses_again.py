"""No silence ends with nothing done: what found no room is tried again, and what a turn leaves to the next."""

from itertools import pairwise

import pytest
from forefill_service.engine import EngineLoad, FakeEngine, Priority
from forefill_service.serving.pauses import MOST_TRIES
from forefill_service.session.events import CharAdd, CharDelete, Open
from forefill_service.session.ledger import Balance
from forefill_service.session.responses import Opened

from tests.support.pausing import pausing, steps
from tests.support.silences import LONG, OFF, OVERLOADED, PIECE, beside, common_with, leaves
from tests.support.stage import BLOCK, PAUSE_SECONDS, SYSTEM, on_stage, settle

# --- no silence ends with nothing done


@pytest.mark.parametrize("opening", [OFF, Open((SYSTEM,))])
async def test_what_load_has_shed_is_tried_again_while_the_silence_lasts(opening: Open) -> None:
    async with pausing(opening, piece_tokens=PIECE) as stage:
        await stage.types(LONG)
        warms = len(stage.warms)
        stage.engine.load = OVERLOADED
        for _ in range(6):
            await stage.pauses()
        assert len(stage.warms) == warms
        assert stage.pregenerations == []
        stage.engine.load = EngineLoad()
        for _ in range(16):
            await stage.pauses()
        assert len(stage.warms) > warms
        assert len(stage.pregenerations) == (opening is not OFF)
        assert stage.time_gate.waiting == []


async def test_tries_come_less_and_less_often_and_have_an_end() -> None:
    async with pausing(OFF) as stage:
        await stage.types(LONG)
        stage.engine.load = OVERLOADED
        tried: list[int] = []
        shed = stage.replica.admission._shed
        stage.replica.admission._shed = lambda *args: (tried.append(pause), shed(*args))[1]  # type: ignore[method-assign,func-returns-value]
        for pause in range(16 * MOST_TRIES):  # noqa: B007
            await stage.pauses()
        gaps = [after - before for before, after in pairwise(tried)]
        assert gaps == [1, 2, 4, 8, *[16] * (MOST_TRIES - 4)]
        assert stage.time_gate.waiting == []


async def test_while_load_sheds_a_silence_costs_one_timer() -> None:
    async with pausing() as stage:
        await stage.types(LONG)
        stage.engine.load = OVERLOADED
        for _ in range(5):
            await stage.pauses()
            assert len(stage.time_gate.waiting) == 1


async def test_a_refused_warm_of_a_pause_is_tried_again() -> None:
    async with pausing(OFF) as stage:
        await stage.types(LONG)
        stage.engine.faults.refuse = {Priority.WARM: 1}
        await stage.pauses()
        refused = len(stage.warms)
        await stage.pauses()
        assert len(stage.warms) == refused + 1


async def test_when_no_other_answer_may_be_begun_the_draft_is_warmed_meanwhile() -> None:
    async with pausing(pregenerations_in_flight=1) as first:
        second = beside(first)
        await settle()
        await second.types(LONG)  # its pause begins first
        await first.types("Show me ")
        first.engine_gate.held = True
        first._time += PAUSE_SECONDS
        first.time_gate.step(1)
        await settle()
        await steps(first, 2)
        assert first.replica.admission.pregenerations == 1
        warms = len(first.warms)
        first.time_gate.step(0)
        await settle()
        assert len(first.pregenerations) == 1
        [warm] = first.warms[warms:]
        assert common_with(second, LONG, warm.prompt_ids)
        first.engine_gate.open()
        await settle()
        assert len(first.pregenerations) == 2
        await leaves(second)


async def test_a_session_whose_warms_are_wasted_is_not_warmed_in_pauses_either() -> None:
    async with on_stage(OFF) as stage:
        stage.backend.waste_limiter.settled(Balance(edited_away=10**6), f"session /{stage.all(Opened)[0].session_id}")
        warms = len(stage.warms)
        await stage.types(LONG)
        await stage.pauses()
        assert len(stage.warms) == warms
        assert stage.time_gate.waiting == []


async def test_a_prompt_longer_than_the_cache_is_not_computed_again_and_again() -> None:
    engine = FakeEngine(block_size=BLOCK, cache_blocks=15)
    async with pausing(OFF, engine=engine, piece_tokens=BLOCK) as stage:
        await stage.types(LONG)
        await stage.pauses()
        warms = len(stage.warms)
        for _ in range(5):
            await stage.pauses()
        assert len(stage.warms) == warms
        assert stage.time_gate.waiting == []


async def test_a_text_that_cannot_be_rendered_is_not_tried_again() -> None:
    engine = FakeEngine(block_size=BLOCK, context_tokens=40)
    async with pausing(engine=engine, piece_tokens=PIECE) as stage:
        await stage.types(LONG)
        await stage.pauses()
        assert stage.time_gate.waiting == []


# --- over turns


async def test_what_the_next_draft_needs_is_not_late_because_of_a_long_wait_before() -> None:
    async with pausing(OFF) as stage:
        await stage.types("Show me ")
        stage.engine.load = OVERLOADED
        for _ in range(8):
            await stage.pauses()
        stage.engine.load = EngineLoad()
        await stage.does(CharAdd(LONG))
        warms = len(stage.warms)
        [(seconds,)] = stage.time_gate.asked[-1:]
        assert seconds <= PAUSE_SECONDS
        assert len(stage.time_gate.waiting) == 1
        await stage.pauses()
        assert len(stage.warms) == warms + 1


async def test_nothing_is_warmed_for_an_emptied_or_submitted_draft() -> None:
    async with pausing(OFF) as stage:
        await stage.types("Show")
        await stage.does(CharDelete(4))
        warms = len(stage.warms)
        await stage.pauses()
        await stage.types(LONG)
        await stage.submits()
        await settle()
        after = len(stage.warms)
        await stage.pauses()
        assert len(stage.warms) == after
        assert common_with(stage, "", stage.warms[warms - 1].prompt_ids[:BLOCK])
