"""What a session does while its user is silent: a long tail is warmed, an answer begun, and nothing is left undone."""

from typing import Any

import pytest
from forefill_service.session.events import Open, PregenerationMode, Replace, WarmMode
from forefill_service.session.responses import FlushOutcome, FlushResult, GenerationStarted, Source

from tests.support.pausing import pausing, steps
from tests.support.silences import LONG, OFF, PIECE, beside, by_code_points, common_with, leaves, pauses, warmed_since
from tests.support.stage import BLOCK, SYSTEM, DecidedTypist, on_stage, settle, user
from tests.support.texts import HEX, MYANMAR, THAI

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
