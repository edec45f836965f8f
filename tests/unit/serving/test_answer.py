"""A generation whose engine gets lost."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from forefill_service.engine import FakeEngine, Output, Priority, Request
from forefill_service.engine.rendezvous import ranked
from forefill_service.errors import Reason
from forefill_service.session.events import Open, WarmMode
from forefill_service.session.responses import (
    GenerationDelta,
    GenerationFinished,
    GenerationStarted,
    SessionError,
    Source,
)

from tests.support.stage import BLOCK, SYSTEM, Stage, on_stage, settle

TEXT = "twelve thirteen fourteen fifteen sixteen seventeen eighteen "
OPENING = Open((SYSTEM,), session_key="anna")
NAMES = ranked("/anna", ["one", "two"])


class Two:
    """A session before two engines: the one that it belongs to, whose every step the test releases, and another."""

    def __init__(self, stage: Stage, other: FakeEngine) -> None:
        self.stage = stage
        self.home = stage.engine
        self.other = other

    def generations(self, engine: FakeEngine) -> int:
        return sum(request.priority is Priority.GENERATION for request in engine.requests)

    @property
    def errors(self) -> list[SessionError]:
        return self.stage.all(SessionError)


class TellsAtTheEnd(FakeEngine):
    """Reports what it found cached with the last part of an answer, as vLLM does over HTTP."""

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        async for output in super().generate(request):
            yield replace(output, cached_tokens=output.cached_tokens if output.finish_reason else None)


@asynccontextmanager
async def two_engines(
    opening: Open = OPENING, kind: type[FakeEngine] = FakeEngine, **settings: Any
) -> AsyncIterator[Two]:
    home, other = (kind(block_size=BLOCK, name=name, answer_tokens=4) for name in NAMES)
    async with on_stage(opening, engine=home, others=[other], **settings) as stage:
        await stage.types(TEXT)
        yield Two(stage, other)


async def test_it_goes_where_the_session_has_warmed() -> None:
    async with two_engines() as two:
        await two.stage.flushes()
        await two.stage.submits()
        assert (two.generations(two.home), two.generations(two.other)) == (1, 0)
        assert two.stage.all(GenerationStarted)[0].cached_tokens > 0


@pytest.mark.parametrize("fault", ["down", "busy"])
async def test_before_its_first_token_it_is_sent_once_more_elsewhere(fault: str) -> None:
    async with two_engines() as two:
        setattr(two.home.faults, fault, True)
        seq = await two.stage.submits()
        assert two.generations(two.other) == 1
        assert [finished.seq for finished in two.stage.all(GenerationFinished)] == [seq]
        assert not two.errors


async def test_a_loss_while_it_runs_counts_as_before_the_first_token_if_none_was_sent() -> None:
    async with two_engines() as two:
        two.stage.engine_gate.held = True
        await two.stage.submits()
        two.home.faults.down = True
        two.stage.engine_gate.open()
        await settle()
        assert two.generations(two.other) == 1
        assert two.stage.all(GenerationFinished)


async def test_behind_its_first_token_it_ends_with_what_was_sent_and_the_session_goes_on() -> None:
    async with two_engines() as two:
        two.stage.engine_gate.held = True
        seq = await two.stage.submits()
        for _ in range(3):  # the prompt, then two tokens
            two.stage.engine_gate.step()
            await settle()
        two.home.faults.down = True
        two.stage.engine_gate.open()
        await settle()
        [error] = two.errors
        sent = "".join(delta.text for delta in two.stage.all(GenerationDelta))
        assert (error.reason, error.seq) == (Reason.GENERATION_INTERRUPTED, seq)
        assert error.sent_text == sent != ""
        assert two.generations(two.other) == 0
        await two.stage.submits(TEXT)
        assert len(two.stage.all(GenerationFinished)) == 1


async def test_a_refusal_is_not_sent_to_anyone_else() -> None:
    async with two_engines() as two:
        two.home.faults.refuse = {Priority.GENERATION: 1}
        await two.stage.submits()
        assert [error.reason for error in two.errors] == [Reason.GENERATION_FAILED]
        assert two.errors[0].sent_text == ""
        assert two.generations(two.other) == 0


async def test_where_nobody_is_up_it_fails_and_the_session_goes_on() -> None:
    async with two_engines() as two:
        two.home.faults.down = two.other.faults.down = True
        await two.stage.submits()
        assert [error.reason for error in two.errors] == [Reason.GENERATION_FAILED]
        two.other.faults.down = False
        await two.stage.submits(TEXT)
        assert two.stage.all(GenerationFinished)


async def test_a_second_loss_is_the_last() -> None:
    async with two_engines() as two:
        two.home.faults.busy = two.other.faults.busy = 10
        await two.stage.submits()
        assert [error.reason for error in two.errors] == [Reason.GENERATION_FAILED]
        assert (two.home.faults.busy, two.other.faults.busy) == (9, 9)


async def test_under_overload_no_more_than_the_set_share_is_sent_again() -> None:
    async with two_engines(retry_share=0.1) as two:
        two.home.faults.busy = two.other.faults.busy = 10_000
        for _ in range(100):
            await two.stage.submits(TEXT)
        sent = 20_000 - two.home.faults.busy - two.other.faults.busy
        assert 110 <= sent <= 113


async def test_warms_that_fail_say_nothing_but_in_the_flush_result_and_the_books() -> None:
    async with two_engines() as two:
        await two.stage.flushes()
        two.home.faults.refuse = {Priority.WARM: 1000}
        await two.stage.types(TEXT)
        await two.stage.flushes()
        assert not two.errors
        assert not two.stage.task.done()


async def test_after_a_move_what_the_other_engine_has_is_warmed_there() -> None:
    async with two_engines() as two:
        await two.stage.flushes()
        two.home.faults.down = True
        await two.stage.types(TEXT)
        await two.stage.flushes()
        assert any(request.priority is Priority.WARM for request in two.other.requests)
        await two.stage.submits()
        assert two.stage.all(GenerationStarted)[0].cached_tokens > 0
        assert two.generations(two.other) == 1


async def test_after_a_move_what_others_have_cached_there_is_not_booked_as_warmed_by_this_session() -> None:
    async with two_engines() as two:
        await two.stage.flushes()
        warmed = two.stage.engine.requests[-1].prompt_ids
        two.other.hold(warmed)
        two.home.faults.down = True
        finished = two.stage.finished(await two.stage.submits())
        assert finished.cached_tokens == len(warmed)
        assert (finished.ledger.used, finished.ledger.evicted) == (0, len(warmed))


@pytest.mark.parametrize("warm_hangs", [False, True])
async def test_what_is_said_to_be_cached_after_a_move_is_what_is_believed_of_the_place_that_answers(
    warm_hangs: bool,
) -> None:
    async with two_engines(kind=TellsAtTheEnd) as two:
        await two.stage.flushes()
        await two.stage.types(TEXT)
        if warm_hangs:
            two.stage.engine_gate.held = True
            await two.stage.flushes()
            assert len(two.stage.engine_gate.waiting) == 1
        two.home.faults.down = True
        seq = await two.stage.submits()
        [started] = two.stage.all(GenerationStarted)
        assert (started.cached_tokens, started.source) == (0, Source.COLD)
        assert two.stage.samples()["forefill_generations_total cold"] == 1
        two.stage.engine_gate.open()
        await settle()
        finished = two.stage.finished(seq)
        assert (finished.cached_tokens, finished.ledger.used) == (0, 0)


async def test_an_answer_begun_before_submit_is_gone_on_with_elsewhere_where_its_engine_is_lost() -> None:
    async with two_engines(pregeneration=True, pregeneration_tokens=2) as two:
        await two.stage.pauses()
        assert any(request.priority is Priority.PREGENERATION for request in two.home.requests)
        two.home.faults.down = True
        seq = await two.stage.submits()
        assert not two.errors
        assert two.stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert two.generations(two.other) == 1, "the rest"
        finished = two.stage.finished(seq)
        assert finished.completion_tokens == 4
        assert finished.ledger.used == finished.prompt_tokens, "the lost engine has computed it, and it was told"


async def test_one_that_was_complete_there_is_not_believed_cached_elsewhere() -> None:
    async with two_engines(replace(OPENING, warm_mode=WarmMode.OFF), pregeneration=True) as two:
        await two.stage.pauses()
        await settle()
        two.home.faults.down = True
        await two.stage.submits()
        assert two.stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert not two.other.requests
        believed = {replica.name: bool(replica.blocks._used_at) for replica in two.stage.backend.replicas.all}
        assert believed == {two.home.name: True, two.other.name: False}


async def test_one_that_still_runs_there_is_not_waited_for() -> None:
    async with two_engines(pregeneration=True) as two:
        two.stage.engine_gate.held = True
        await two.stage.pauses()
        two.stage.engine_gate.step()
        await settle()
        two.home.faults.down = True
        await two.stage.submits()
        await settle()
        assert two.generations(two.other) == 1
        assert two.stage.all(GenerationFinished)
        assert not two.errors
