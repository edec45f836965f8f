"""Answers to a conversation as it is, without a draft: after the results of tools, for example."""

import pytest
from forefill_service.chat.messages import ChatMessage, ToolCall
from forefill_service.engine import FakeEngine
from forefill_service.errors import Reason
from forefill_service.session.events import Cancel, CharAdd, Open, Respond, Rewrite
from forefill_service.session.responses import FlushOutcome, GenerationStarted

from tests.support.other_chat import OtherChat
from tests.support.pausing import TEXT, begins, deltas, pausing, steps
from tests.support.stage import BLOCK, Stage, assistant, on_stage, settle, user

CALLED = ChatMessage("assistant", "", tool_calls=(ToolCall("1", "count_beds", "{}"),))
RESULT = ChatMessage("tool", "There are three.", tool_call_id="1")
SAID = (user("How many?"), CALLED, RESULT)


async def gets_results(stage: Stage) -> None:
    await stage.does(Rewrite(1, SAID))


async def test_it_is_asked_for_with_exactly_the_conversation_and_the_draft_is_the_next_turns() -> None:
    async with on_stage() as stage:
        await gets_results(stage)
        await stage.types("And ")
        seq = await stage.does(Respond())
        [generation] = stage.generations
        assert generation.prompt_ids == stage.prompt_ids(*SAID)
        assert stage.finished(seq).prompt_tokens == len(generation.prompt_ids)
        await stage.types("now?")
        await stage.submits()
        answer = assistant("".join(deltas(stage, seq)))
        assert stage.generations[1].prompt_ids == stage.prompt_ids(*SAID, answer, user("And now?"))


@pytest.mark.parametrize("endpoint", [OtherChat(), None])
async def test_it_is_the_endpoints_where_that_makes_other_ids_than_we_do(endpoint: OtherChat | None) -> None:
    engine = FakeEngine(block_size=BLOCK)
    if endpoint is not None:
        engine.chat_endpoint.chat = endpoint
    async with on_stage(engine=engine) as stage:
        await gets_results(stage)
        seq = await stage.does(Respond())
        assert stage.generations[0].prompt_ids == stage.prompt_ids(*SAID)
        assert stage.finished(seq).reason == "stop"


async def test_it_finds_what_was_warmed_for_the_draft_after_it() -> None:
    async with on_stage() as stage:
        await gets_results(stage)
        base = stage.warms[-1].prompt_ids
        assert len(base) > BLOCK
        seq = await stage.does(Respond())
        assert stage.all(GenerationStarted)[0].seq == seq
        assert stage.finished(seq).cached_tokens >= len(base) - BLOCK


async def test_what_was_begun_for_the_draft_is_not_its_answer() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        seq = stage.put(Respond())
        await settle()
        stage.engine_gate.open()
        await settle()
        assert stage.generations[0].prompt_ids == stage.prompt_ids()
        ledger = stage.finished(seq).ledger
        assert ledger.pregenerated == ledger.discarded >= 3


async def test_a_flush_before_it_is_answered_and_what_it_wanted_is_warmed_afterwards() -> None:
    async with on_stage() as stage:
        stage.engine_gate.held = True
        await stage.types(TEXT)
        flush = await stage.flushes()
        seq = stage.put(Respond())
        await settle()
        stage.engine_gate.open()
        await settle()
        assert stage.flush_result(flush).outcome is FlushOutcome.DEFERRED
        again = await stage.flushes()
        assert stage.flush_result(again).outcome in (FlushOutcome.WARMED, FlushOutcome.NOTHING_NEW)
        answer, warmed = assistant("".join(deltas(stage, seq))), stage.warms[-1].prompt_ids
        await stage.submits()
        whole = stage.generations[1].prompt_ids
        assert whole == stage.prompt_ids(answer, user(TEXT))
        assert warmed == whole[: len(warmed)]


@pytest.mark.parametrize("keep_text", [True, False])
async def test_it_can_be_stopped(keep_text: bool) -> None:
    async with on_stage() as stage:
        stage.engine_gate.held = True
        seq = await stage.does(Respond())
        await steps(stage, 3)
        await stage.does(Cancel(keep_text))
        stage.engine_gate.open()
        await settle()
        said = "".join(deltas(stage, seq))
        assert said
        await stage.submits("two")
        kept = (assistant(said),) if keep_text else ()
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(*kept, user("two"))


async def test_it_goes_on_after_what_a_client_has_of_it() -> None:
    async with on_stage() as stage:
        whole = deltas(stage, await stage.does(Respond()))
    said, rest = "".join(whole[:3]), "".join(whole[3:])
    async with on_stage() as stage:
        seq = await stage.does(Respond(said))
        assert "".join(deltas(stage, seq)) == rest
        assert stage.generations[0].prompt_ids == [*stage.prompt_ids(), *stage.engine.chat.encode(said)]


async def test_a_refusal_leaves_the_conversation_and_the_draft_as_they_were() -> None:
    engine = FakeEngine(block_size=BLOCK, context_tokens=40)
    async with on_stage(engine=engine) as stage:
        await stage.does(Rewrite(1, (user("so " * 40),)))
        await stage.does(CharAdd("And "))
        seq = await stage.does(Respond())
        assert stage.error(seq).reason is Reason.PROMPT_TOO_LONG
        assert stage.error(seq).draft_code_points == 4
        await stage.does(Rewrite(1, ()))
        await stage.submits()
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(user("And "))


async def test_there_is_none_to_nothing() -> None:
    async with on_stage(Open()) as stage:
        seq = await stage.does(Respond())
        assert stage.error(seq).reason is Reason.EMPTY_SUBMIT
        await stage.submits("Is it so?")
        assert len(stage.generations) == 1
