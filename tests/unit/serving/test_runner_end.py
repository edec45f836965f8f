"""How a session on one engine ends: by END, by a client that leaves, by the engine, by the server."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from forefill_service.engine import FakeEngine, Output, Priority, Request
from forefill_service.errors import Reason, Refusal
from forefill_service.session.draft import checksum
from forefill_service.session.events import CharAdd, End, Flush, Open, WarmMode
from forefill_service.session.responses import (
    FlushOutcome,
    FlushResult,
    GenerationDelta,
    GenerationFinished,
    GoAway,
    Opened,
    SessionError,
)

from tests.support.stage import BLOCK, SYSTEM, Stage, on_stage, settle

TEXT = "Show me all the patients that were seen in May "


# --- the end


async def test_end_closes_a_composing_session() -> None:
    async with on_stage() as stage:
        await stage.does(End())
        assert stage.task.done()
        assert stage.task.exception() is None


async def test_nothing_that_follows_end_changes_it() -> None:
    async with on_stage() as stage:
        stage.put(End())
        await stage.hangs_up()
        assert stage.task.exception() is None


async def test_end_during_an_answer_lets_it_finish() -> None:
    async with on_stage() as stage:
        stage.engine_gate.held = True
        submit = await stage.submits("one")
        await stage.does(End())
        await stage.hangs_up()
        assert not stage.task.done()
        stage.engine_gate.open()
        await settle()
        assert stage.finished(submit) is stage.said[-1]
        assert stage.task.exception() is None
        assert len(stage.warms) == 1, "there is no next turn"


async def test_end_after_an_answer_that_is_refused_closes() -> None:
    async with on_stage() as stage:
        stage.engine.faults.refuse = {Priority.GENERATION: 1}
        stage.render_gate.held = True
        submit = await stage.submits("one")
        await stage.does(End())
        stage.render_gate.open()
        await settle()
        assert stage.error(submit).reason is Reason.GENERATION_FAILED
        assert stage.task.exception() is None


@pytest.mark.parametrize("submitted", [False, True])
async def test_the_end_of_the_stream_without_end_is_an_abort(submitted: bool) -> None:
    async with on_stage() as stage:
        stage.engine_gate.held = True
        if submitted:
            await stage.submits("one")
        await stage.hangs_up()
        assert stage.refusal().reason is Reason.ABORTED
        assert stage.engine.aborted == submitted


@pytest.mark.parametrize("held", ["render_gate", "engine_gate", "client_gate"])
async def test_a_cancelled_session_leaves_no_task_behind(held: str) -> None:
    before = asyncio.all_tasks()
    async with on_stage(Open((SYSTEM,), draft=TEXT), piece_tokens=BLOCK) as stage:
        await stage.submits("one")
        await stage.types(TEXT)
        getattr(stage, held).held = True
        stage.put(Flush(len(TEXT), checksum(TEXT)))
        await stage.submits()
        assert getattr(stage, held).waiting
        stage.task.cancel()
        await settle()
        assert stage.task.cancelled()
        assert asyncio.all_tasks() == before


async def test_the_next_turns_rendering_is_cancelled_with_the_session() -> None:
    before = asyncio.all_tasks()
    async with on_stage(Open((SYSTEM,), warm_mode=WarmMode.OFF)) as stage:
        stage.engine_gate.held = True
        await stage.submits("one")
        stage.render_gate.held = True
        stage.engine_gate.open()
        await settle()
        assert len(stage.render_gate.waiting) == 1
        await stage.does(End())
        assert stage.task.done()
        assert asyncio.all_tasks() == before


@pytest.mark.parametrize("held", ["render_gate", "engine_gate", None])
@pytest.mark.parametrize("flushes", [1, 3])
async def test_every_flush_before_end_is_answered_before_the_stream_closes(held: str | None, flushes: int) -> None:
    async with on_stage() as stage:
        if held is not None:
            getattr(stage, held).held = True
        seqs = []
        for _ in range(flushes):
            stage.put(CharAdd(TEXT))
            seqs.append(stage.put(Flush(len(stage.draft), checksum(stage.draft))))
        await stage.does(End())
        assert stage.task.done()
        assert stage.task.exception() is None
        assert [result.seq for result in stage.all(FlushResult)] == seqs
        assert {result.outcome for result in stage.all(FlushResult)} == {FlushOutcome.DEFERRED}


async def test_a_flush_whose_warm_outlives_the_answer_is_answered_before_the_stream_closes() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        stage.engine_gate.held = True
        flush = await stage.flushes()
        submit = await stage.submits()
        await stage.does(End())
        while not stage.all(GenerationFinished):
            stage.engine_gate.step(1)  # the answer; the warm stays behind
            await settle()
        assert stage.task.done()
        assert stage.finished(submit).reason == "stop"
        assert stage.flush_result(flush).outcome is FlushOutcome.DEFERRED


async def test_what_was_warmed_for_nobody_is_booked_as_abandoned() -> None:
    async with on_stage() as stage:
        await stage.does(End())
        assert stage.samples()["forefill_warm_tokens_total abandoned"] == len(stage.warms[0].prompt_ids)


async def begins_an_answer(stage: Stage) -> int:
    """Warm a text, submit it, and have one token of the answer made; return how many tokens were warmed."""
    await stage.types(TEXT)
    warmed = stage.flush_result(await stage.flushes()).cached_tokens
    stage.engine_gate.held = True
    await stage.submits()
    for _ in range(2):  # the prompt, then its first token
        stage.engine_gate.step()
        await settle()
    assert len(stage.all(GenerationDelta)) == 1
    return warmed


def booked(stage: Stage) -> dict[str, float]:
    """Return how many warmed tokens stand in each row."""
    name = "forefill_warm_tokens_total "
    return {key.removeprefix(name): value for key, value in stage.samples().items() if key.startswith(name)}


@pytest.mark.parametrize("hangs_up", [False, True])
async def test_an_answer_that_the_user_stops_has_used_what_it_found(hangs_up: bool) -> None:
    async with on_stage() as stage:
        warmed = await begins_an_answer(stage)
        if hangs_up:
            await stage.hangs_up()
        else:
            stage.task.cancel()
            await settle()
        assert stage.all(GenerationFinished) == []
        assert booked(stage) == {"used": warmed}


async def test_an_answer_that_the_client_does_not_read_has_used_what_it_found() -> None:
    async with on_stage() as stage:
        stage.client_gate.closed = Refusal(Reason.CLIENT_TOO_SLOW)
        await stage.types(TEXT)
        stage.engine_gate.held = True
        await stage.submits()
        stage.engine_gate.open()
        await settle()
        assert stage.refusal().reason is Reason.CLIENT_TOO_SLOW
        assert booked(stage) == {"used": len(stage.warms[0].prompt_ids)}


async def test_an_answer_that_is_interrupted_and_never_asked_for_again_has_used_what_it_found() -> None:
    async with on_stage() as stage:
        warmed = await begins_an_answer(stage)
        stage.engine.faults.down = True
        stage.engine_gate.open()
        await settle()
        assert stage.all(SessionError)[0].reason is Reason.GENERATION_INTERRUPTED
        await stage.does(End())
        assert booked(stage) == {"used": warmed}


async def test_an_answer_that_is_stopped_before_its_first_token_has_used_nothing() -> None:
    async with on_stage() as stage:
        stage.engine_gate.held = True
        await stage.submits(TEXT)
        await stage.hangs_up()
        assert booked(stage) == {"abandoned": len(stage.warms[0].prompt_ids)}


# --- the engine fails


@pytest.mark.parametrize("phase", ["prefill of a warm", "answer", "next request"])
async def test_a_dead_engine_ends_the_session(phase: str) -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        stage.engine_gate.held = phase != "next request"
        if phase == "prefill of a warm":
            await stage.flushes()
        elif phase == "answer":
            await stage.submits()
        stage.engine.faults.dead = True
        stage.engine_gate.open()
        if phase == "next request":
            await stage.flushes()
        await settle()
        assert stage.refusal().reason is Reason.ENGINE_UNAVAILABLE


async def test_a_defect_while_warming_books_what_was_in_flight() -> None:
    class Defective(FakeEngine):
        async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
            if request.priority is Priority.GENERATION:
                raise ZeroDivisionError
            async for output in super().generate(request):
                yield output

    async with on_stage(engine=Defective(block_size=BLOCK)) as stage:
        await stage.types(TEXT)
        stage.engine_gate.held = True
        await stage.flushes()
        await stage.submits()
        assert isinstance(stage.task.exception(), ExceptionGroup)
        samples = stage.samples()
        assert (samples["forefill_warms_total computed"], samples["forefill_warms_total aborted"]) == (1, 1)


# --- the server stops


async def test_a_composing_session_is_stopped_at_once() -> None:
    async with on_stage() as stage:
        stage.runner.stop()
        await settle()
        assert stage.refusal().reason is Reason.SERVER_STOPPING


async def test_a_session_is_told_once_that_the_server_stops_after_it_was_told_that_it_is_open() -> None:
    stage = Stage()
    stage.render_gate.held = True
    await settle()
    stage.runner.go_away(3.0)
    await settle()
    assert stage.said == []
    stage.render_gate.open()
    await settle()
    assert [type(response) for response in stage.said] == [Opened, GoAway]
    assert stage.said[1] == GoAway(3.0)
    await stage.does(End())


async def test_an_open_session_is_told_that_the_server_stops_and_goes_on() -> None:
    async with on_stage() as stage:
        stage.runner.go_away(3.0)
        await settle()
        assert stage.said[-1] == GoAway(3.0)
        submit = await stage.submits("one")
        assert stage.finished(submit).reason == "stop"


@pytest.mark.parametrize("yields", [1, 20])
async def test_a_session_whose_stream_was_cancelled_is_told_nothing_more(yields: int) -> None:
    async with on_stage() as stage:
        stage.task.cancel()
        for _ in range(yields):
            await asyncio.sleep(0)
        stage.runner.go_away(3.0)
        await settle()
        assert stage.task.cancelled()
        assert GoAway(3.0) not in stage.said


async def test_a_session_that_renders_its_base_is_stopped_at_once() -> None:
    stage = Stage()
    stage.render_gate.held = True
    await settle()
    stage.runner.stop()
    await settle()
    assert stage.refusal().reason is Reason.SERVER_STOPPING


async def test_a_running_answer_finishes_before_the_server_stops() -> None:
    async with on_stage() as stage:
        stage.engine_gate.held = True
        submit = await stage.submits("one")
        stage.runner.stop()
        await settle()
        assert not stage.task.done()
        stage.engine_gate.open()
        await settle()
        assert stage.finished(submit) is stage.said[-1]
        assert stage.refusal().reason is Reason.SERVER_STOPPING


@pytest.mark.parametrize("stops_first", [False, True])
async def test_end_wins_over_a_server_that_stops(stops_first: bool) -> None:
    async with on_stage() as stage:
        stage.engine_gate.held = True
        submit = await stage.submits("one")
        if stops_first:
            stage.runner.stop()
        await stage.does(End())
        stage.runner.stop()
        await settle()
        stage.engine_gate.open()
        await settle()
        assert stage.finished(submit).reason == "stop"
        assert stage.task.exception() is None
