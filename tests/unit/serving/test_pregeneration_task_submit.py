"""What SUBMIT makes of an answer that was begun before it, and the caps on that."""

from dataclasses import replace

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import EngineLoad, FakeEngine
from forefill_service.session.events import Open
from forefill_service.session.pregeneration import UNSEEN_TOKENS
from forefill_service.session.responses import GenerationFinished, GenerationStarted, Source

from tests.support.pausing import ANSWER_TOKENS, SEEDED, TEXT, begins, deltas, pausing, plain_answer, steps
from tests.support.stage import BLOCK, PAUSE_SECONDS, SYSTEM, assistant, settle, user

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
    engine.chat.render = lambda conversation: render(  # type: ignore[method-assign]
        Conversation(tuple(ChatMessage(m.role, m.content.strip()) for m in conversation.messages))
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
        assert stage.finished(await stage.submits()).reason == "stop"


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


async def test_what_goes_on_with_an_answer_has_to_be_as_much_shorter_as_is_there() -> None:
    opening = Open((SYSTEM,), sampling=Sampling(max_tokens=9, min_tokens=7))
    async with pausing(opening, pregeneration_tokens=3) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        await stage.submits()
        assert [stage.pregenerations[0].sampling, stage.generations[0].sampling] == [
            Sampling(max_tokens=3, min_tokens=3),
            Sampling(max_tokens=6, min_tokens=4),
        ]


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


async def test_an_answer_of_a_model_with_a_penalty_of_its_own_is_given_up_at_the_cap() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.info = replace(engine.info, penalizes=True)
    async with pausing(engine=engine, pregeneration_tokens=3) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.engine.aborted == 1
        await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.WARM


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
        stage.replica.admission.dispatch()
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
        stage.replica.admission.dispatch()
        stage.time_gate.step()
        await settle()
        assert stage.engine.aborted == 0
        stage.engine_gate.open()
        await settle()
        assert stage.all(GenerationFinished)


async def test_no_more_than_so_many_run_on_a_server_and_an_adopted_one_counts_no_longer() -> None:
    async with pausing(pregenerations_in_flight=1) as stage:
        await begins(stage, tokens=3)
        admission = stage.replica.admission
        assert admission.pregenerations == 1
        await stage.submits()
        await steps(stage, 1)
        assert admission.pregenerations == 0
        assert admission.generations == 1
