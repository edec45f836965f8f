"""What a session does while its user is silent: a long tail is warmed, an answer begun, and nothing is left undone."""

import asyncio
import re
from itertools import pairwise
from typing import Any

import pytest
from forefill_service.engine import EngineLoad, FakeEngine, Priority
from forefill_service.serving.pauses import MOST_TRIES
from forefill_service.session.events import CharAdd, CharDelete, Open, PregenerationMode, Replace, WarmMode
from forefill_service.session.ledger import Balance
from forefill_service.session.responses import FlushOutcome, FlushResult, GenerationStarted, Opened, Source

from tests.support.pausing import pausing, steps
from tests.support.stage import BLOCK, PAUSE_SECONDS, SYSTEM, DecidedTypist, Stage, on_stage, settle, user
from tests.support.texts import HEX, MYANMAR, THAI

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


# --- a long tail


@pytest.mark.parametrize("text", [f"decode {HEX}", *THAI, MYANMAR])
@pytest.mark.parametrize("mode", [PregenerationMode.AUTO, PregenerationMode.ON])
async def test_after_a_pause_the_answer_to_a_long_unflushed_text_is_begun(text: str, mode: PregenerationMode) -> None:
    opening = Open((SYSTEM,), pregeneration_mode=mode)
    async with pausing(opening, engine=by_code_points(), piece_tokens=PIECE) as stage:
        await stage.types(text)
        await pauses(stage)
        [asked] = stage.pregenerations
        assert asked.prompt_ids == stage.prompt_ids(user(text))
        seq = await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        ledger = stage.finished(seq).ledger
        assert ledger.used == ledger.computed == len(asked.prompt_ids)


async def test_a_long_tail_is_warmed_in_pieces_and_the_answer_computes_less_than_a_block() -> None:
    async with pausing(piece_tokens=PIECE) as stage:
        warms = len(stage.warms)
        frontier = len(stage.warms[-1].prompt_ids)
        await stage.types(LONG)
        await stage.pauses()
        pieces = warmed_since(stage, warms)
        assert len(pieces) > 3
        for piece in pieces:
            assert common_with(stage, LONG, piece)
            assert 0 < len(piece) - frontier <= PIECE
            frontier = len(piece)
        [asked] = stage.pregenerations
        assert len(asked.prompt_ids) - frontier < BLOCK


async def test_what_fits_into_one_request_is_not_warmed_before() -> None:
    async with pausing() as stage:
        warms = len(stage.warms)
        await stage.types(LONG)
        await stage.pauses()
        assert len(stage.warms) == warms
        assert len(stage.pregenerations) == 1


@pytest.mark.parametrize("pieces", [1, 3, 7])
async def test_an_edit_between_the_pieces_withdraws_the_rest_at_once(pieces: int) -> None:
    async with pausing(piece_tokens=PIECE) as stage:
        before = len(stage.warms)
        await stage.types(LONG)
        stage.engine_gate.held = True
        await stage.pauses()
        while len(stage.warms) < before + pieces and not stage.pregenerations:
            await steps(stage, 1)
        await stage.types("!")
        stage.engine_gate.open()
        await settle()
        assert len(stage.warms) == before + pieces
        assert stage.pregenerations == []
        assert stage.engine.aborted == 0, "the piece in flight goes on"


async def test_an_edit_withdraws_a_piece_that_waits_for_its_permit() -> None:
    async with pausing(piece_tokens=PIECE, warms_in_flight=1) as stage:
        await stage.types(LONG)
        other = beside(stage)
        await settle()
        stage.engine_gate.held = True
        await other.types(LONG[4:])
        await other.flushes()
        await stage.pauses()
        assert stage.replica.admission.waiting == 1
        await stage.types("!")
        assert stage.replica.admission.waiting == 0
        await leaves(other)


async def test_submit_between_the_pieces_is_sent_at_once_and_finds_what_they_computed() -> None:
    async with pausing(piece_tokens=PIECE) as stage:
        await stage.types(LONG)
        stage.engine_gate.held = True
        await stage.pauses()
        await steps(stage, 3)
        warms, frontier = len(stage.warms), len(stage.warms[-2].prompt_ids)
        seq = await stage.submits()
        assert len(stage.generations) == 1
        stage.engine_gate.open()
        await settle()
        asked = stage.generations[0].prompt_ids
        next_turns = warmed_since(stage, warms)
        assert all(len(ids) > len(asked) or common_with(stage, "", ids) for ids in next_turns)
        finished = stage.finished(seq)
        assert finished.cached_tokens >= frontier
        books = finished.ledger
        assert books.used + books.edited_away + books.evicted + books.abandoned == books.computed


# --- without pre-generation


@pytest.mark.parametrize(
    ("opening", "settings"),
    [(OFF, {"pregeneration": True}), (Open((SYSTEM,)), {}), (Open((SYSTEM,)), {"pregenerations_in_flight": 0})],
)
async def test_without_pregeneration_a_pause_has_the_whole_draft_warmed(
    opening: Open, settings: dict[str, Any]
) -> None:
    async with on_stage(opening, engine=by_code_points(), piece_tokens=PIECE, **settings) as stage:
        warms = len(stage.warms)
        await stage.types(HEX)
        await stage.pauses(0.6)
        assert len(stage.warms) == warms
        await pauses(stage)
        assert stage.pregenerations == []
        assert common_with(stage, HEX, stage.warms[-1].prompt_ids)
        seq = await stage.submits()
        finished = stage.finished(seq)
        assert finished.prompt_tokens - finished.cached_tokens <= len("<end>\n<start>assistant\n") + BLOCK
        assert finished.ledger.used == finished.ledger.computed == finished.cached_tokens
        assert stage.all(FlushResult) == []


async def test_what_may_be_under_composition_is_not_warmed_in_a_pause() -> None:
    async with on_stage(OFF, engine=by_code_points()) as stage:
        shown, settled = "昨年の十二月の患者" + "ばんごうをおしえてください", "昨年の十二月の患者"
        await stage.types(shown)
        await pauses(stage)
        warmed = len(stage.warms[-1].prompt_ids)
        assert common_with(stage, f"{settled}x", stage.warms[-1].prompt_ids)
        await stage.does(Replace(len(settled), len(shown), "番号を教えて下さい"))
        await pauses(stage)
        assert len(stage.warms[-1].prompt_ids) > warmed
        assert common_with(stage, stage.draft, stage.warms[-1].prompt_ids)


@pytest.mark.parametrize(
    ("opening", "settings"),
    [
        (Open((SYSTEM,), warm_mode=WarmMode.OFF, pregeneration_mode=PregenerationMode.OFF), {}),
        (OFF, {"inert_reason": "prefix caching is off"}),
    ],
)
async def test_where_nothing_is_warmed_nothing_is_warmed_in_a_pause(opening: Open, settings: dict[str, Any]) -> None:
    async with on_stage(opening, **settings) as stage:
        await stage.types(LONG)
        await stage.pauses()
        assert stage.warms == []
        assert stage.time_gate.waiting == []


async def test_a_session_that_asked_for_no_warming_has_no_pieces_warmed_either() -> None:
    async with pausing(Open((SYSTEM,), warm_mode=WarmMode.OFF), piece_tokens=PIECE) as stage:
        await stage.types(LONG)
        await stage.pauses()
        assert stage.warms == stage.pregenerations == []


async def test_a_draft_whose_answer_is_begun_after_a_longer_silence_is_warmed_after_the_set_pause() -> None:
    async with pausing(typist=DecidedTypist(pauses=2)) as stage:
        await stage.types(LONG)
        warms = len(stage.warms)
        await stage.pauses()
        assert stage.pregenerations == []
        assert common_with(stage, stage.draft, stage.warms[warms].prompt_ids)
        await stage.pauses()
        assert len(stage.pregenerations) == 1


async def test_a_draft_whose_answer_is_not_worth_beginning_is_still_warmed() -> None:
    async with pausing(typist=DecidedTypist(p=0.001)) as stage:
        await stage.types(LONG)
        warms = len(stage.warms)
        await stage.pauses()
        assert stage.pregenerations == []
        assert len(stage.warms) == warms + 1
        assert stage.time_gate.waiting == []


# --- with FLUSH


async def test_a_flush_that_is_worked_on_is_not_put_off_by_a_pause() -> None:
    async with on_stage(OFF, piece_tokens=PIECE) as stage:
        await stage.types(LONG)
        stage.engine_gate.held = True
        flush = await stage.flushes(len(LONG) // 2)
        await stage.pauses()
        assert stage.all(FlushResult) == []
        stage.engine_gate.open()
        await settle()
        result = stage.flush_result(flush)
        assert result.outcome is FlushOutcome.WARMED
        assert len(stage.warms[-1].prompt_ids) > result.cached_tokens


async def test_a_flush_that_waits_comes_before_what_a_pause_asks_for() -> None:
    async with on_stage(OFF) as stage:
        await stage.types(LONG)
        stage.engine_gate.held = True
        first, second = await stage.flushes(10), await stage.flushes(len(LONG) // 2)
        await stage.pauses()
        stage.engine_gate.open()
        await settle()
        assert stage.flush_result(first).outcome is FlushOutcome.WARMED
        cached = stage.flush_result(second).cached_tokens
        assert [len(warm.prompt_ids) for warm in stage.warms[2:-1]] == [cached]
        assert len(stage.warms[-1].prompt_ids) > cached


async def test_a_flush_in_a_pause_comes_first_and_the_rest_is_warmed_after_it() -> None:
    async with on_stage(OFF, piece_tokens=PIECE) as stage:
        await stage.types(LONG)
        stage.engine_gate.held = True
        await stage.pauses()
        flush = await stage.flushes(len(LONG) // 2)
        stage.engine_gate.open()
        await settle()
        assert stage.flush_result(flush).outcome is FlushOutcome.WARMED
        warms = len(stage.warms)
        await stage.pauses()
        assert len(stage.warms) > warms
        whole = len(stage.prompt_ids(user(LONG)))
        assert whole - len(stage.warms[-1].prompt_ids) < 2 * BLOCK + 4


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


def beside(stage: Stage) -> Stage:
    """Begin another session on the same engine, with the same gates before it."""
    other = Stage(engine=stage.engine, backend=stage.backend)
    stage.engine.sleep = stage.engine_gate
    return other


async def leaves(stage: Stage) -> None:
    stage.task.cancel()
    await asyncio.gather(stage.task, return_exceptions=True)


async def test_a_session_whose_warms_are_wasted_is_not_warmed_in_pauses_either() -> None:
    async with on_stage(OFF) as stage:
        stage.backend.waste_limiter.settled(Balance(edited_away=10**6), f"session {stage.all(Opened)[0].session_id}")
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
