"""Pre-generation of one session: when an answer is begun before SUBMIT, what stops it, and what SUBMIT makes of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from forefill_service.engine import EngineLoad, FakeEngine, Output, Priority, Request
from forefill_service.errors import EngineRefused, Reason
from forefill_service.events import CharAdd, CharDelete, End, Open, PregenerationMode, Replace, Sampling
from forefill_service.pregeneration import UNSEEN_TOKENS
from forefill_service.responses import (
    FlushOutcome,
    GenerationDelta,
    GenerationFinished,
    GenerationStarted,
    SessionError,
    Source,
)

from tests.support.stage import BLOCK, PAUSE_SECONDS, SYSTEM, Stage, assistant, on_stage, settle, user

TEXT = "Show me all the patients that were seen in May"
ANSWER_TOKENS = 8
SEEDED = Open((SYSTEM,), sampling=Sampling(temperature=0.8, seed=1))


def pausing(*args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Stage]:
    """A session whose pauses count."""
    return on_stage(*args, **{"pregeneration": True, **kwargs})


def deltas(stage: Stage, seq: int) -> list[str]:
    return [delta.text for delta in stage.all(GenerationDelta) if delta.seq == seq]


async def plain_answer(text: str = TEXT) -> str:
    async with on_stage() as stage:
        return "".join(deltas(stage, await stage.submits(text)))


async def steps(stage: Stage, count: int) -> None:
    """Let the engine do so much; the first step of a request is its prefill."""
    for _ in range(count):
        stage.engine_gate.step()
        await settle()


async def begins(stage: Stage, text: str = TEXT, tokens: int = 0) -> None:
    """Type, pause, and have so many tokens of the answer made."""
    await stage.types(text)
    stage.engine_gate.held = True
    await stage.pauses()
    if tokens:
        await steps(stage, 1 + tokens)


# --- when it begins


async def test_in_a_pause_the_answer_to_the_draft_is_begun_below_generations() -> None:
    async with pausing() as stage:
        await stage.types(TEXT)
        assert stage.pregenerations == []
        await stage.pauses()
        [asked] = stage.pregenerations
        assert asked.prompt_ids == stage.prompt_ids(user(TEXT))
        assert Priority.GENERATION < asked.priority < Priority.WARM


async def test_every_key_begins_the_pause_anew() -> None:
    async with pausing() as stage:
        for word in TEXT.split():
            await stage.types(word)
            await stage.pauses(0.6)
        assert stage.pregenerations == []
        await stage.pauses(0.6)
        assert len(stage.pregenerations) == 1


async def test_typing_costs_one_timer_however_many_keys() -> None:
    async with pausing() as stage:
        for word in TEXT:
            await stage.types(word)
        assert len(stage.time_gate.waiting) == 1


async def test_a_draft_to_resume_from_is_begun_too() -> None:
    async with pausing(Open((SYSTEM,), draft=TEXT)) as stage:
        await stage.pauses()
        assert len(stage.pregenerations) == 1


async def test_nothing_is_begun_for_an_empty_draft() -> None:
    async with pausing() as stage:
        await stage.pauses()
        await stage.types("a")
        await stage.does(CharDelete())
        await stage.pauses()
        assert stage.pregenerations == []


async def test_nothing_is_begun_while_an_answer_runs_but_after_it() -> None:
    async with pausing() as stage:
        stage.engine_gate.held = True
        await stage.submits("one")
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.pregenerations == []
        stage.engine_gate.open()
        await settle()
        await stage.pauses()
        assert len(stage.pregenerations) == 1


@pytest.mark.parametrize("settings", [{"pregeneration": False}, {"pregenerations_in_flight": 0}])
async def test_the_operator_can_turn_it_off(settings: dict[str, Any]) -> None:
    async with pausing(**settings) as stage:
        await begins(stage)
        assert stage.pregenerations == []


async def test_a_session_can_turn_it_off() -> None:
    async with pausing(Open((SYSTEM,), pregeneration_mode=PregenerationMode.OFF)) as stage:
        await begins(stage)
        assert stage.pregenerations == []


async def test_it_needs_no_warming() -> None:
    async with pausing(inert_reason="prefix caching is off") as stage:
        await stage.types("one")
        await stage.pauses()
        assert len(stage.pregenerations) == 1


async def test_a_draft_is_tried_so_many_times_and_the_next_one_again() -> None:
    async with pausing(Open((SYSTEM,), pregeneration_mode=PregenerationMode.ON), pregeneration_tries=2) as stage:
        for word in TEXT.split():
            await stage.types(word)
            await stage.pauses()
        assert len(stage.pregenerations) == 2
        await stage.submits("something else")
        await stage.types(TEXT)
        await stage.pauses()
        assert len(stage.pregenerations) == 3


async def test_a_session_that_is_guessed_wrong_in_a_row_has_to_pause_longer() -> None:
    opening = Open((SYSTEM,), pregeneration_mode=PregenerationMode.AUTO)
    async with pausing(opening, pregeneration_tries=100) as stage:
        begun = []
        for word in TEXT.split()[:5]:
            await stage.types(word)
            await stage.pauses()
            begun.append(len(stage.pregenerations))
        assert begun == [1, 2, 2, 2, 2]
        await stage.pauses()
        assert len(stage.pregenerations) == 3
        await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        await stage.types(TEXT)
        await stage.pauses()
        assert len(stage.pregenerations) == 4, "one right guess, and it is the set pause again"


async def test_under_load_nothing_is_begun_and_submit_works_as_always() -> None:
    async with pausing() as stage:
        stage.engine.load = EngineLoad(waiting=1000)
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.pregenerations == []
        assert stage.finished(await stage.submits())


async def test_a_prompt_that_cannot_be_rendered_is_submits_problem() -> None:
    async with pausing(engine=FakeEngine(block_size=BLOCK, context_tokens=40)) as stage:
        await stage.types("word " * 40)
        await stage.pauses()
        assert stage.all(SessionError) == []
        assert stage.error(await stage.submits()).reason is Reason.PROMPT_TOO_LONG
        assert stage.finished(await stage.submits("word"))


# --- nothing leaves before SUBMIT


async def test_nothing_of_it_is_said_before_submit() -> None:
    async with pausing() as stage:
        await stage.types(TEXT)
        said, metrics = list(stage.said), stage.samples()
        await stage.pauses()
        assert len(stage.pregenerations) == 1
        assert stage.said == said
        assert stage.samples() == metrics


# --- an edit


@pytest.mark.parametrize("edit", [CharAdd("!"), CharDelete(), Replace(0, 4, "List")])
@pytest.mark.parametrize("tokens", [0, 3])
async def test_an_edit_aborts_what_runs_at_once(edit: Any, tokens: int) -> None:
    async with pausing() as stage:
        await begins(stage, tokens=tokens)
        await stage.does(edit)
        assert stage.engine.aborted == 1


async def test_an_edit_that_leaves_the_same_text_aborts_nothing() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=1)
        await stage.does(Replace(0, 4, TEXT[:4]))
        assert stage.engine.aborted == 0


@pytest.mark.parametrize("held", ["render_gate", "engine_gate"])
async def test_what_has_not_reached_the_engine_is_withdrawn(held: str) -> None:
    async with pausing() as stage:
        await stage.types(TEXT)
        if held == "render_gate":
            stage.render_gate.held = True
        else:
            stage.engine_gate.held = True
            await stage.flushes(len(TEXT))  # a warm of this session is in flight
        await stage.pauses()
        await stage.types("!")
        stage.render_gate.open()
        stage.engine_gate.open()
        await settle()
        assert stage.pregenerations == []
        assert stage.finished(await stage.submits()).ledger.pregenerations == 0


async def test_the_end_of_the_session_does_not_cut_an_abort_short() -> None:
    async with pausing(seam=SlowToAbort) as stage:
        await begins(stage, tokens=1)
        stage.put(CharAdd("!"))
        stage.put(CharAdd("?"))
        await stage.hangs_up()
        assert stage.task.done()
        assert SlowToAbort.aborts == [True]


async def test_an_edit_while_the_turns_prompt_is_in_the_making_leaves_it_to_submit() -> None:
    async with pausing() as stage:
        stage.engine_gate.held = True
        await stage.submits("one")
        await stage.types(TEXT)
        stage.render_gate.held = True
        stage.engine_gate.open()
        await settle()
        await stage.pauses()
        await stage.types("!")
        seq = await stage.submits()
        stage.render_gate.open()
        await settle()
        assert stage.finished(seq)


class SlowToAbort:
    """Takes a while to abort, as an engine in another process does."""

    aborts: list[bool]

    def __init__(self, engine: FakeEngine) -> None:
        SlowToAbort.aborts = []
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        outputs = self.engine.generate(request)
        try:
            async for output in outputs:
                yield output
        except (asyncio.CancelledError, GeneratorExit):
            self.aborts.append(False)
            for _ in range(3):
                await asyncio.sleep(0)
            self.aborts[-1] = True
            raise
        finally:
            await outputs.aclose()


async def test_what_had_ended_is_kept_for_a_text_that_comes_back() -> None:
    async with pausing(pregeneration_tokens=3) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        await stage.types("!")
        await stage.does(CharDelete())
        await stage.pauses()
        assert len(stage.pregenerations) == 1
        seq = await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert "".join(deltas(stage, seq)) == await plain_answer()


# --- SUBMIT adopts it


async def test_submit_is_told_at_once_what_is_there() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        seq = await stage.submits()
        [started] = stage.all(GenerationStarted)
        assert started.source is Source.PREGENERATED
        assert started.prompt_tokens == len(stage.pregenerations[0].prompt_ids)
        assert 0 < started.ttft_seconds < PAUSE_SECONDS
        assert [len(text.split()) for text in deltas(stage, seq)] == [3]
        await steps(stage, ANSWER_TOKENS - 3)
        assert [len(text.split()) for text in deltas(stage, seq)] == [3, 1, 1, 1, 1, 1]
        assert "".join(deltas(stage, seq)) == await plain_answer()
        assert stage.generations == []


async def test_a_complete_answer_is_told_in_one_delta() -> None:
    async with pausing() as stage:
        await stage.types(TEXT)
        await stage.pauses()
        seq = await stage.submits()
        assert deltas(stage, seq) == [await plain_answer()]
        finished = stage.finished(seq)
        assert (finished.reason, finished.completion_tokens) == ("stop", ANSWER_TOKENS)
        assert stage.generations == []


async def test_the_same_prompt_by_another_text_is_adopted() -> None:
    engine = FakeEngine(block_size=BLOCK)
    render = engine.chat.render
    engine.chat.render = lambda messages, kwargs: render(  # type: ignore[method-assign]
        [type(message)(message.role, message.content.strip()) for message in messages], kwargs
    )
    async with pausing(engine=engine) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        await stage.submits(TEXT + " ")
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED


async def test_submit_needs_no_second_rendering_of_the_same_text() -> None:
    async with pausing() as stage:
        await stage.types(TEXT)
        await stage.pauses()
        stage.render_gate.held = True
        assert stage.finished(await stage.submits())


@pytest.mark.parametrize("tokens", [0, 3])
async def test_submit_of_another_text_aborts_it_and_is_answered_as_always(tokens: int) -> None:
    async with pausing() as stage:
        await begins(stage, tokens=tokens)
        seq = await stage.submits("List them")
        assert stage.engine.aborted == 1
        stage.engine_gate.open()
        await settle()
        assert stage.all(GenerationStarted)[0].source is Source.WARM
        assert "".join(deltas(stage, seq)) == await plain_answer("List them")


async def test_submit_before_the_first_token_waits_for_it_where_nothing_queues_in_the_engine() -> None:
    async with pausing() as stage:
        await begins(stage)
        await steps(stage, 1)  # its prompt is computed
        seq = await stage.submits()
        assert (stage.engine.aborted, len(stage.generations)) == (0, 0)
        stage.engine_gate.open()
        await settle()
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert "".join(deltas(stage, seq)) == await plain_answer()
        ledger = stage.finished(seq).ledger
        assert (ledger.pregenerations, ledger.pregenerated) == (1, 0), "all of it was generated after SUBMIT"


async def test_submit_before_the_first_token_aborts_it_where_others_queue_and_sends_a_plain_generation() -> None:
    async with pausing() as stage:
        await begins(stage)
        await steps(stage, 1)  # its prompt is computed
        stage.engine.load = EngineLoad(waiting=1)
        seq = await stage.submits()
        assert stage.engine.aborted == 1
        assert len(stage.generations) == 1
        stage.engine_gate.open()
        await settle()
        assert stage.all(GenerationStarted)[0].source is Source.WARM
        assert stage.finished(seq).cached_tokens > len(stage.warms[0].prompt_ids), "what it computed is found"
        assert "".join(deltas(stage, seq)) == await plain_answer()


async def test_the_next_turn_stands_on_all_of_an_adopted_answer() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        seq = await stage.submits()
        stage.engine_gate.open()
        await settle()
        await stage.submits("two")
        turn = user(TEXT), assistant("".join(deltas(stage, seq))), user("two")
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(*turn)


# --- caps


async def test_at_the_cap_it_ends_and_a_new_request_goes_on_with_it() -> None:
    async with pausing(pregeneration_tokens=3) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        [begun] = stage.pregenerations
        assert begun.sampling.max_tokens == 3
        seq = await stage.submits()
        [rest] = stage.generations
        head = stage.engine.chat.encode(deltas(stage, seq)[0])
        assert rest.prompt_ids == [*begun.prompt_ids, *head]
        assert len(head) == 3
        assert rest.sampling.max_tokens == stage.engine.info.context_tokens - len(rest.prompt_ids)
        assert "".join(deltas(stage, seq)) == await plain_answer()
        finished = stage.finished(seq)
        assert (finished.completion_tokens, finished.reason) == (ANSWER_TOKENS, "stop")
        assert finished.cached_tokens == stage.all(GenerationStarted)[0].cached_tokens == len(stage.warms[0].prompt_ids)


async def test_what_is_adopted_before_the_cap_goes_on_behind_it() -> None:
    async with pausing(pregeneration_tokens=5) as stage:
        await begins(stage, tokens=2)
        seq = await stage.submits()
        assert stage.generations == []
        stage.engine_gate.open()
        await settle()
        assert len(stage.generations) == 1
        assert "".join(deltas(stage, seq)) == await plain_answer()


@pytest.mark.parametrize(("wanted", "limit"), [(5, None), (None, 5), (5, 7)])
@pytest.mark.parametrize("cap", [3, 5, 100])
async def test_an_answer_is_no_longer_than_was_asked_for(wanted: int | None, limit: int | None, cap: int) -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.info = type(engine.info)("fake", BLOCK, 8192, default_answer_tokens=limit)
    opening = Open((SYSTEM,), sampling=Sampling(max_tokens=wanted))
    async with pausing(opening, engine=engine, pregeneration_tokens=cap) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        finished = stage.finished(await stage.submits())
        assert (finished.completion_tokens, finished.reason) == (5, "length")


async def test_a_seeded_answer_is_given_up_at_the_cap() -> None:
    async with pausing(SEEDED, pregeneration_tokens=3) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.pregenerations[0].sampling == Sampling(
            temperature=0.8, seed=1, max_tokens=8192 - len(stage.pregenerations[0].prompt_ids)
        )
        assert stage.engine.aborted == 1
        seq = await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.WARM
        assert stage.generations[0].prompt_ids == stage.prompt_ids(user(TEXT))
        assert stage.finished(seq).ledger.discarded == 3 + UNSEEN_TOKENS


async def test_a_seeded_answer_that_ended_before_the_cap_is_adopted() -> None:
    async with pausing(SEEDED, pregeneration_tokens=ANSWER_TOKENS) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        seq = await stage.submits()
        assert stage.generations == []
        assert stage.finished(seq).completion_tokens == ANSWER_TOKENS


async def test_a_seeded_answer_that_is_adopted_runs_on_over_the_cap() -> None:
    async with pausing(SEEDED, pregeneration_tokens=4) as stage:
        await begins(stage, tokens=3)
        seq = await stage.submits()
        stage.engine_gate.open()
        await settle()
        assert stage.generations == []
        assert stage.finished(seq).completion_tokens == ANSWER_TOKENS


@pytest.mark.parametrize("opening", [Open((SYSTEM,)), SEEDED])
async def test_it_runs_no_longer_than_it_may(opening: Open) -> None:
    async with pausing(opening) as stage:
        await begins(stage, tokens=3)
        stage.time_gate.step()  # its time is over
        await settle()
        assert stage.engine.aborted == 1
        stage.engine_gate.open()
        seq = await stage.submits()
        kept = opening is not SEEDED
        assert (stage.all(GenerationStarted)[0].source is Source.PREGENERATED) is kept
        assert len(stage.generations) == 1
        assert "".join(deltas(stage, seq)) == await plain_answer()


async def test_it_makes_way_when_load_demands_it_and_what_it_made_is_kept() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        stage.engine.load = EngineLoad(waiting=1000)
        stage.service.admission.look()
        await settle()
        assert stage.engine.aborted == 1
        stage.engine_gate.open()
        seq = await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert "".join(deltas(stage, seq)) == await plain_answer()


async def test_what_was_adopted_makes_way_for_nobody_and_has_no_time_limit() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        await stage.submits()
        stage.engine.load = EngineLoad(waiting=1000)
        stage.service.admission.look()
        stage.time_gate.step()
        await settle()
        assert stage.engine.aborted == 0
        stage.engine_gate.open()
        await settle()
        assert stage.all(GenerationFinished)


async def test_no_more_than_so_many_run_on_a_server_and_an_adopted_one_counts_no_longer() -> None:
    async with pausing(pregenerations_in_flight=1) as stage:
        await begins(stage, tokens=3)
        service = stage.service
        assert len(service.admission._pregenerating) == 1
        await stage.submits()
        await steps(stage, 1)
        assert len(service.admission._pregenerating) == 0
        assert service.admission._generations == 1


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
        assert stage.error(seq).reason is Reason.GENERATION_FAILED
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
