"""Where fast path and endpoint disagree about a conversation: refusals, books of its answer, and what operators see."""

import logging

import pytest
from forefill_service.cache.blocks import CacheChange
from forefill_service.chat.messages import Conversation
from forefill_service.engine import FakeChat, FakeEngine
from forefill_service.errors import EngineSlow, Reason
from forefill_service.serving.rendering import Verdict
from forefill_service.session.responses import FlushOutcome, GenerationStarted, Opened, Source

from tests.support.other_chat import OtherChat
from tests.support.refusing_chat import RefusingChat
from tests.support.stage import BLOCK, SYSTEM, assistant, on_stage, settle, user
from tests.support.verdicts import (
    CONFIRMED,
    TEXT,
    WaryChat,
    common,
    engine_with,
    own,
    stage_with,
    theirs,
    whole_blocks,
)

# --- what the two say of a conversation differs


async def test_the_endpoints_refusal_counts() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.refuses = "no system role"
    async with on_stage(engine=engine) as stage:
        await stage.types(TEXT)
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.SHED
        error = stage.error(await stage.submits())
        assert error.reason is Reason.TEMPLATE_REFUSED
        assert "no system role" in error.message
        assert stage.generations == []


async def test_an_endpoint_elsewhere_that_refuses_refuses_the_answer() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.refuses, engine.chat_endpoint.in_process = "no system role", False
    async with on_stage(engine=engine) as stage:
        error = stage.error(await stage.submits(TEXT))
        assert error.reason is Reason.TEMPLATE_REFUSED
        engine.chat_endpoint.refuses = ""
        assert stage.finished(await stage.submits(TEXT)).reason == "stop"


@pytest.mark.parametrize("in_process", [True, False])
async def test_what_the_fast_path_alone_refuses_is_answered(in_process: bool) -> None:
    engine = engine_with(Verdict.DIFFERS, in_process=in_process)
    engine.chat = RefusingChat("roles must alternate")
    async with on_stage(engine=engine) as stage:
        [opened] = stage.all(Opened)
        assert opened.base_prompt_tokens == len(common(theirs("a"), theirs("7")))
        await stage.types(TEXT)
        submit = await stage.submits()
        assert stage.generations[0].prompt_ids == theirs(TEXT)
        assert stage.finished(submit).reason == "stop"


async def test_a_template_that_refuses_special_tokens_in_a_draft_is_compared_on_others() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat = engine.chat_endpoint.chat = WaryChat()
    async with on_stage(engine=engine) as stage:
        await stage.types(TEXT)
        await stage.flushes(len(CONFIRMED))
        assert stage.warms[-1].prompt_ids == whole_blocks(common(own(CONFIRMED + "a"), own(CONFIRMED + "7")))
        await stage.submits(TEXT)
        [started] = stage.all(GenerationStarted)
        assert not started.prompt_by_engine
        assert stage.error(await stage.submits("<|end|>")).reason is Reason.TEMPLATE_REFUSED


async def test_what_both_refuse_ends_the_session_in_the_words_of_the_template() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat = engine.chat_endpoint.chat = RefusingChat("roles must alternate")
    async with on_stage(engine=engine) as stage:
        assert stage.refusal().reason is Reason.TEMPLATE_REFUSED
        assert "roles must alternate" in str(stage.refusal())


async def test_an_endpoint_that_cannot_be_asked_at_submit_fails_that_answer_alone() -> None:
    engine = engine_with(Verdict.DIFFERS, in_process=True)
    async with on_stage(engine=engine) as stage:
        engine.chat_endpoint.fails = EngineSlow("the template takes too long")
        error = stage.error(await stage.submits(TEXT))
        assert (error.reason, stage.generations) == (Reason.GENERATION_FAILED, [])
        engine.chat_endpoint.fails = None
        assert stage.finished(await stage.submits(TEXT)).reason == "stop"


async def test_a_prompt_of_the_endpoint_that_leaves_no_room_is_refused() -> None:
    engine = FakeEngine(block_size=BLOCK, context_tokens=40)
    engine.chat_endpoint.chat = OtherChat()
    async with on_stage(engine=engine) as stage:
        assert stage.error(await stage.submits("many " * 40)).reason is Reason.PROMPT_TOO_LONG


# --- the books of an answer whose prompt the endpoint makes


async def test_the_prompt_is_known_with_the_first_token_and_its_warmed_base_counts_as_used() -> None:
    async with stage_with(Verdict.DIFFERS, in_process=False) as stage:
        base = whole_blocks(common(theirs("a"), theirs("7")))
        assert stage.warms[-1].prompt_ids == base
        submit = await stage.submits(TEXT)
        [started] = stage.all(GenerationStarted)
        assert (started.prompt_tokens, started.cached_tokens) == (len(theirs(TEXT)), len(base))
        assert started.source is Source.WARM
        assert stage.finished(submit).ledger.used == len(base)
        answer = assistant(stage.answer_text(submit))
        turn = FakeChat().encode(OtherChat().render(Conversation((SYSTEM, user(TEXT), answer, user("x")))))
        assert stage.warms[-1].prompt_ids == turn[: len(stage.warms[-1].prompt_ids)]
        assert len(stage.warms[-1].prompt_ids) > len(theirs(TEXT)) - 4 * BLOCK


async def test_a_prompt_that_stays_unknown_has_no_length_and_only_the_engines_count_of_hits() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.in_process, engine.chat_endpoint.silent = False, True
    async with on_stage(engine=engine) as stage:
        base = stage.warms[-1].prompt_ids
        submit = await stage.submits(TEXT)
        [started] = stage.all(GenerationStarted)
        assert (started.prompt_tokens, started.cached_tokens) == (0, len(base))
        finished = stage.finished(submit)
        assert (finished.prompt_tokens, finished.ledger.used, finished.ledger.computed) == (0, len(base), len(base))


async def test_a_warm_of_the_base_goes_on_beside_the_endpoints_answer() -> None:
    async with stage_with(Verdict.DIFFERS, in_process=False) as stage:
        stage.engine.evict()
        stage.replica.blocks.change(CacheChange(cleared=True))
        stage.engine_gate.held = True
        await stage.types("x ")
        await stage.flushes()
        assert len(stage.engine_gate.waiting) == 1, "the warm is in the engine"
        submit = await stage.submits(TEXT)
        stage.engine_gate.open()
        await settle()
        assert (stage.engine.aborted, stage.finished(submit).reason) == (0, "stop")


async def test_a_silent_endpoint_in_this_process_answers_itself() -> None:
    engine = engine_with(Verdict.UNKNOWN, in_process=True)
    engine.chat_endpoint.silent = True
    async with on_stage(engine=engine) as stage:
        submit = await stage.submits(TEXT)
        assert stage.finished(submit).prompt_tokens == 0
        assert len(engine.chat_endpoint.requests) == 1


async def test_an_endpoints_answer_is_asked_for_once_more_elsewhere() -> None:
    engines = [FakeEngine(block_size=BLOCK, name=name) for name in ("one", "two")]
    for engine in engines:
        engine.chat_endpoint.chat, engine.chat_endpoint.in_process = OtherChat(), False
    async with on_stage(engine=engines[0], others=engines[1:]) as stage:
        first = next(engine for engine in engines if engine.chat_endpoint.asked)
        [other] = [engine for engine in engines if engine is not first]
        first.faults.busy = 1
        submit = await stage.submits(TEXT)
        assert stage.finished(submit).reason == "stop"
        assert len(other.chat_endpoint.requests) == 1


# --- what the operator sees


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.CHECKING])
async def test_each_turn_is_counted_by_its_verdict_and_each_verdict_is_said_once(
    verdict: Verdict, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="forefill_service")
    engine = engine_with(verdict, in_process=True)
    if verdict is Verdict.UNKNOWN:
        engine.chat_endpoint.silent = True
    async with on_stage(engine=engine) as stage:
        await stage.submits(TEXT)
        assert stage.samples()[f"forefill_turns_total {verdict.name.lower()}"] == 2
    said = [record.getMessage() for record in caplog.records if "fast path" in record.getMessage()]
    assert len(said) == (0 if verdict is Verdict.AGREES else 1)
    assert not any("cars" in message or "eleven" in message for message in said)
