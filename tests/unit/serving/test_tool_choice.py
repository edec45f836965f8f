"""Sessions that say whether their answers call tools, and who speaks in their drafts."""

from dataclasses import replace

import pytest
from forefill_service.chat.generation import ToolCallPart
from forefill_service.chat.messages import ChatMessage, ToolCall
from forefill_service.chat.tool_choice import ToolChoice
from forefill_service.engine import FakeEngine
from forefill_service.errors import Reason
from forefill_service.session.events import HandOff, Open, Submit
from forefill_service.session.responses import GenerationStarted, HandedOff, Opened, Source

from tests.support.calling_tools import CHOICES, OPENING, TEXT, an_engine, calls, prompt_ids
from tests.support.other_chat import OtherChat
from tests.support.pausing import pausing
from tests.support.stage import BLOCK, SYSTEM, on_stage

REQUIRED = pytest.mark.parametrize("choice", CHOICES, ids=["required", "named"])


@REQUIRED
async def test_a_required_call_is_the_whole_answer_and_the_next_turn_has_it(choice: ToolChoice) -> None:
    name, reason = CHOICES[choice]
    async with on_stage(replace(OPENING, tool_choice=choice)) as stage:
        [opened] = stage.all(Opened)
        assert opened.splits_answers
        seq = await stage.submits(TEXT)
        assert calls(stage) == [ToolCallPart(0, "call-1", name, "{"), ToolCallPart(0, arguments="}")]
        assert stage.answer_text(seq) == ""
        assert stage.finished(seq).reason == reason
        asked = ChatMessage("user", TEXT)
        said = ChatMessage("assistant", "", tool_calls=(ToolCall("call-1", name, "{}"),))
        await stage.submits("two")
        assert stage.generations[-1].prompt_ids == prompt_ids(stage, asked, said, ChatMessage("user", "two"))


@REQUIRED
async def test_a_required_call_is_a_structure_of_the_answer_so_no_other_request_goes_on_with_it(
    choice: ToolChoice,
) -> None:
    async with on_stage(replace(OPENING, tool_choice=choice)) as stage:
        seq = await stage.does(Submit(TEXT, answer_so_far="{"))
        assert stage.error(seq).reason is Reason.GENERATION_FAILED
        assert "an answer with a structure cannot go on" in stage.error(seq).message
        assert stage.generations == []


@REQUIRED
async def test_a_required_call_is_begun_whole_before_submit_and_adopted_as_it_is(choice: ToolChoice) -> None:
    async with pausing(replace(OPENING, tool_choice=choice), pregeneration_tokens=8) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        [begun] = stage.pregenerations
        assert begun.sampling.structure is not None
        seq = await stage.submits()
        assert stage.generations == []
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert "".join(part.arguments for part in calls(stage)) == "{}"
        assert stage.finished(seq).reason == CHOICES[choice][1]


@REQUIRED
async def test_an_engine_elsewhere_answers_a_required_call_itself_on_what_was_warmed(choice: ToolChoice) -> None:
    opening = replace(OPENING, tool_choice=choice)
    async with on_stage(opening, engine=an_engine(elsewhere=True)) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        flushed = stage.warms[-1].prompt_ids
        seq = await stage.submits()
        [request] = stage.engine.chat_endpoint.requests
        assert request.conversation.tool_choice == choice
        assert request.conversation.messages[-1] == ChatMessage("user", TEXT)
        assert stage.all(GenerationStarted)[0].prompt_by_engine
        assert calls(stage)[0].name == CHOICES[choice][0]
        assert stage.finished(seq).cached_tokens >= len(flushed) > 0


@REQUIRED
async def test_a_hand_off_knows_the_prompt_that_an_engine_elsewhere_would_answer_itself(choice: ToolChoice) -> None:
    opening = replace(OPENING, tool_choice=choice)
    async with on_stage(opening, engine=an_engine(elsewhere=True), hand_off_url=["http://a"]) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        await stage.does(HandOff())
        [told] = stage.all(HandedOff)
        assert told.prompt_tokens == len(prompt_ids(stage, ChatMessage("user", TEXT)))
        assert told.cached_tokens >= len(stage.warms[-1].prompt_ids) > 0


@pytest.mark.parametrize("choice", ["none", "auto"])
async def test_an_engine_elsewhere_is_asked_by_ids_if_no_call_is_required(choice: ToolChoice) -> None:
    async with on_stage(replace(OPENING, tool_choice=choice), engine=an_engine(elsewhere=True)) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        await stage.submits()
        assert stage.engine.chat_endpoint.requests == []
        assert stage.generations[0].prompt_ids == prompt_ids(stage, ChatMessage("user", TEXT))
        assert not stage.all(Opened)[0].splits_answers
        assert calls(stage) == []


@REQUIRED
async def test_an_engine_that_parses_no_calls_refuses_the_session(choice: ToolChoice) -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.parses_calls = False
    async with on_stage(replace(OPENING, tool_choice=choice), engine=engine) as stage:
        refusal = stage.refusal()
        assert refusal.reason is Reason.INVALID_TOOLS
        assert "tool_choice requires a call: the engine was started without a parser for calls" in str(refusal)


@pytest.mark.parametrize("agrees", [True, False])
async def test_the_drafts_speaker_is_warmed_and_submitted_and_stays_in_the_conversation(agrees: bool) -> None:
    engine = FakeEngine(block_size=BLOCK)
    if not agrees:
        engine.chat_endpoint.chat = OtherChat()
    async with on_stage(Open((SYSTEM,), draft_name="Ann"), engine=engine) as stage:
        asked = ChatMessage("user", TEXT, name="Ann")
        await stage.types(TEXT)
        await stage.flushes()
        flushed = stage.warms[-1].prompt_ids
        assert flushed == prompt_ids(stage, asked)[: len(flushed)]
        seq = await stage.submits()
        assert stage.generations[0].prompt_ids == prompt_ids(stage, asked)
        said = ChatMessage("assistant", stage.answer_text(seq))
        await stage.submits("two")
        assert stage.generations[1].prompt_ids == prompt_ids(stage, asked, said, ChatMessage("user", "two", name="Ann"))
