"""What becomes of a pre-generation that fails, and where its tokens and tasks end."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from forefill_service.engine import FakeEngine, Output, Priority, Request
from forefill_service.errors import EngineRefused, Reason
from forefill_service.session.events import End
from forefill_service.session.pregeneration import UNSEEN_TOKENS
from forefill_service.session.responses import FlushOutcome, GenerationStarted, SessionError, Source

from tests.support.pausing import ANSWER_TOKENS, SEEDED, TEXT, begins, deltas, pausing, plain_answer
from tests.support.stage import BLOCK, settle

# --- what fails


async def test_a_refused_one_is_our_secret() -> None:
    async with pausing() as stage:
        stage.engine.faults.refuse = {Priority.PREGENERATION: 1}
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.all(SessionError) == []
        seq = await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.WARM
        ledger = stage.finished(seq).ledger
        assert (ledger.pregenerations, ledger.pregenerated) == (1, UNSEEN_TOKENS)
        assert ledger.abandoned > 0


class BreaksOff(FakeEngine):
    """Fails a pre-generation after so many tokens."""

    after = 3

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        made = 0
        async for output in super().generate(request):
            if request.priority is Priority.PREGENERATION and made == self.after:
                raise EngineRefused("the blocks are gone")
            made += 1
            yield output


@pytest.mark.parametrize("adopted", [False, True])
async def test_where_it_fails_a_new_request_goes_on(adopted: bool) -> None:
    async with pausing(engine=BreaksOff(block_size=BLOCK)) as stage:
        await begins(stage, tokens=2 if adopted else 4)
        seq = await stage.submits()
        stage.engine_gate.open()
        await settle()
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert "".join(deltas(stage, seq)) == await plain_answer()
        assert len(stage.generations) == 1


async def test_an_adopted_seeded_answer_that_fails_is_a_failed_answer() -> None:
    async with pausing(SEEDED, engine=BreaksOff(block_size=BLOCK)) as stage:
        await begins(stage, tokens=2)
        seq = await stage.submits()
        stage.engine_gate.open()
        await settle()
        assert stage.error(seq).reason is Reason.GENERATION_INTERRUPTED
        again = await stage.submits(TEXT)
        assert "".join(deltas(stage, again)) == await plain_answer()
        ledger = stage.finished(again).ledger
        assert (ledger.adopted, ledger.discarded) == (0, 2)


async def test_a_dead_engine_ends_the_session() -> None:
    async with pausing() as stage:
        stage.engine.faults.dead = True
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.refusal().reason is Reason.ENGINE_UNAVAILABLE


# --- the books


async def test_an_adopted_answer_is_booked_as_used_and_adopted() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        seq = await stage.submits()
        stage.engine_gate.open()
        await settle()
        finished, warmed = stage.finished(seq), len(stage.warms[0].prompt_ids)
        ledger = finished.ledger
        assert (ledger.warms, ledger.pregenerations) == (1, 1)
        assert ledger.used == ledger.computed == finished.prompt_tokens
        assert finished.cached_tokens == warmed
        assert (ledger.adopted, ledger.discarded) == (3, 0), "what came after SUBMIT is no speculation"
        assert finished.completion_tokens == ANSWER_TOKENS
        assert stage.samples()["forefill_generations_total pregenerated"] == 1


async def test_the_prompt_of_an_adopted_answer_that_the_user_stops_is_used() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        await stage.submits()
        await stage.hangs_up()
        samples = stage.samples()
        assert samples["forefill_warm_tokens_total used"] == stage.all(GenerationStarted)[0].prompt_tokens
        assert "forefill_warm_tokens_total abandoned" not in samples


async def test_what_an_edit_aborts_is_discarded_and_its_prompt_used_as_far_as_it_is_found() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        await stage.types(" or in June")
        stage.engine_gate.open()
        await settle()
        finished = stage.finished(await stage.submits())
        ledger = finished.ledger
        assert ledger.pregenerations == 1
        assert (ledger.adopted, ledger.discarded) == (0, 3 + UNSEEN_TOKENS)
        assert ledger.used == finished.cached_tokens
        assert ledger.edited_away > 0
        assert ledger.computed == len(stage.pregenerations[0].prompt_ids)


async def test_without_submit_it_is_abandoned_and_discarded() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        await stage.does(End())
        assert stage.engine.aborted == 1
        samples = stage.samples()
        assert samples["forefill_pregenerations_total"] == 1
        assert samples["forefill_pregenerated_tokens_total discarded"] == 3 + UNSEEN_TOKENS
        assert samples["forefill_warm_tokens_total abandoned"] == len(stage.pregenerations[0].prompt_ids)


async def test_a_head_that_another_replaces_is_discarded() -> None:
    async with pausing(pregeneration_tokens=3) as stage:
        for word in ("Show me ", "all"):
            await stage.types(word)
            await stage.pauses()
        ledger = stage.finished(await stage.submits()).ledger
        assert (ledger.pregenerations, ledger.adopted, ledger.discarded) == (2, 3, 3)


async def test_what_it_computed_is_not_warmed_again() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=1)
        flush = stage.flush_result(await stage.flushes(len(TEXT)))
        assert flush.outcome is FlushOutcome.NOTHING_NEW
        assert flush.cached_tokens > len(stage.warms[0].prompt_ids)
        assert len(stage.warms) == 1


# --- tasks


@pytest.mark.parametrize("submitted", [False, True])
@pytest.mark.parametrize("tokens", [0, 3])
@pytest.mark.parametrize("hangs_up", [False, True])
async def test_a_session_that_ends_leaves_nothing_running(submitted: bool, tokens: int, hangs_up: bool) -> None:
    before = asyncio.all_tasks()
    async with pausing() as stage:
        await begins(stage, tokens=tokens)
        if submitted:
            await stage.submits()
        if hangs_up:
            await stage.hangs_up()
        else:
            stage.task.cancel()
        await settle()
        assert stage.task.done()
        assert asyncio.all_tasks() == before
        assert stage.engine.aborted >= 1
        samples = stage.samples()
        assert samples["forefill_pregenerations_total"] == 1
        assert samples.get("forefill_pregenerated_tokens_total discarded", 0) >= tokens
