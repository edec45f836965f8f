"""Turns that say otherwise than their session whether the answer calls tools."""

from dataclasses import dataclass, field, replace

import pytest
from forefill_service.chat.generation import Sampling, Structure
from forefill_service.chat.messages import ChatMessage, Conversation, ToolCall
from forefill_service.chat.tool_choice import NamedTool, ToolChoice, UnknownMode, WantedChoice
from forefill_service.engine.fake.chat_endpoint import FakeChatEndpoint
from forefill_service.errors import EngineUnreachable, Reason
from forefill_service.session.events import HandOff, Open, Respond, Rewrite, Submit
from forefill_service.session.ledger import PregenerationOutcome
from forefill_service.session.responses import GenerationStarted, HandedOff, Opened, Source

from tests.support.calling_tools import CHOICES, OPENING, TEXT, an_engine, calls, prompt_ids
from tests.support.other_chat import OtherChat
from tests.support.pausing import pausing
from tests.support.stage import SYSTEM, Stage, on_stage, user

REQUIRED = pytest.mark.parametrize("choice", CHOICES, ids=["required", "named"])
PLACES = pytest.mark.parametrize("elsewhere", [False, True], ids=["in process", "elsewhere"])
RESULT = ChatMessage("tool", "3", tool_call_id="call-1")


def called(name: str) -> ChatMessage:
    return ChatMessage("assistant", "", tool_calls=(ToolCall("call-1", name, "{}"),))


def asked_without_ids(stage: Stage) -> list[ToolChoice]:
    """Return the choices of the conversations that an endpoint elsewhere was asked to answer itself."""
    return [request.conversation.tool_choice for request in stage.engine.chat_endpoint.requests]


@PLACES
@REQUIRED
async def test_after_the_result_of_a_required_call_the_model_decides(choice: ToolChoice, elsewhere: bool) -> None:
    name, reason = CHOICES[choice]
    opening = replace(OPENING, tool_choice=choice)
    async with on_stage(opening, engine=an_engine(elsewhere=elsewhere)) as stage:
        first = await stage.submits(TEXT)
        assert stage.finished(first).reason == reason
        await stage.does(Rewrite(3, (RESULT,)))
        second = await stage.does(Respond(tool_choice="auto"))
        assert calls(stage, second) == []
        assert stage.answer_text(second)
        assert stage.generations[-1].sampling.structure is None
        assert stage.generations[-1].prompt_ids == prompt_ids(stage, user(TEXT), called(name), RESULT)
        assert asked_without_ids(stage) == ([choice, "auto"] if elsewhere else [])
        third = await stage.submits("And now?")
        assert calls(stage, third)[0].name == name, "the session's own choice holds again"


@PLACES
@REQUIRED
async def test_one_turn_of_a_session_has_to_call_a_tool(choice: ToolChoice, elsewhere: bool) -> None:
    async with on_stage(OPENING, engine=an_engine(elsewhere=elsewhere)) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        flushed = stage.warms[-1].prompt_ids
        first = await stage.does(Submit(tool_choice=choice))
        assert "".join(part.arguments for part in calls(stage, first)) == "{}"
        assert stage.finished(first).reason == CHOICES[choice][1]
        assert stage.finished(first).cached_tokens >= len(flushed) > 0
        assert asked_without_ids(stage) == ([choice] if elsewhere else [])
        assert stage.generations[0].prompt_ids == prompt_ids(stage, user(TEXT))
        second = await stage.submits("two")
        assert calls(stage, second) == []
        assert stage.generations[1].prompt_ids == prompt_ids(stage, user(TEXT), called(CHOICES[choice][0]), user("two"))


@pytest.mark.parametrize("agrees", [True, False])
@pytest.mark.parametrize("own", ["auto", "required"])
@pytest.mark.parametrize("choice", [None, "auto", "required", NamedTool("beds")])
async def test_what_was_begun_before_submit_is_adopted_under_the_same_choice_alone(
    own: ToolChoice, choice: ToolChoice | None, agrees: bool
) -> None:
    engine = an_engine()
    if not agrees:
        engine.chat_endpoint.chat = OtherChat()
    async with pausing(replace(OPENING, tool_choice=own), engine=engine, pregeneration_tokens=8) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        [begun] = stage.pregenerations
        seq = await stage.does(Submit(tool_choice=choice))
        [started] = stage.all(GenerationStarted)
        [outcome] = [row.outcome for row in stage.finished(seq).ledger.outcomes]
        if choice in (None, own):
            assert (started.source, outcome) == (Source.PREGENERATED, PregenerationOutcome.ADOPTED)
        else:
            [generation] = stage.generations
            assert generation.prompt_ids == begun.prompt_ids, "the prompts are the same, and the answers are not"
            assert (started.source, outcome) == (Source.WARM, PregenerationOutcome.SUBMITTED_OTHER)
        assert bool(calls(stage)) is ((choice or own) != "auto")


async def test_the_prompt_of_what_was_begun_is_not_that_of_another_choice() -> None:
    async with pausing(OPENING, engine=an_engine(excludes_tools=True), pregeneration_tokens=8) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        assert len(stage.pregenerations) == 1
        await stage.does(Submit(tool_choice="none"))
        assert [request.prompt_ids for request in stage.generations] == [
            prompt_ids(stage, user(TEXT), tool_choice="none")
        ]


@PLACES
@pytest.mark.parametrize("choices", [("auto", "none"), ("none", "auto")], ids=lambda choices: " then ".join(choices))
async def test_a_prompt_that_the_choice_changes_is_rendered_anew(
    choices: tuple[ToolChoice, ToolChoice], elsewhere: bool
) -> None:
    own, other = choices
    engine = an_engine(elsewhere=elsewhere, excludes_tools=True)
    async with on_stage(replace(OPENING, tool_choice=own), engine=engine) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        first = await stage.does(Submit(tool_choice=other))
        assert stage.generations[0].prompt_ids == prompt_ids(stage, user(TEXT), tool_choice=other)
        assert stage.generations[0].prompt_ids != prompt_ids(stage, user(TEXT))
        assert stage.finished(first).prompt_tokens == len(stage.generations[0].prompt_ids)
        said = ChatMessage("assistant", stage.answer_text(first))
        second = await stage.does(Respond(tool_choice=other))
        assert stage.generations[1].prompt_ids == prompt_ids(stage, user(TEXT), said, tool_choice=other)
        again = ChatMessage("assistant", stage.answer_text(second))
        await stage.submits("two")
        assert stage.generations[2].prompt_ids == prompt_ids(stage, user(TEXT), said, again, user("two"))


@PLACES
@pytest.mark.parametrize("excludes_tools", [False, True])
async def test_a_hand_off_is_told_of_the_prompt_of_its_own_choice(excludes_tools: bool, elsewhere: bool) -> None:
    engine = an_engine(elsewhere=elsewhere, excludes_tools=excludes_tools)
    async with on_stage(OPENING, engine=engine, hand_off_url=["http://a"]) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        flushed = len(stage.warms[-1].prompt_ids)
        await stage.does(HandOff(tool_choice="none"))
        [told] = stage.all(HandedOff)
        assert told.prompt_tokens == len(prompt_ids(stage, user(TEXT), tool_choice="none"))
        assert told.cached_tokens == (0 if excludes_tools else flushed)


@pytest.mark.parametrize("choice", ["none", "required"])
async def test_a_hand_off_believes_nothing_cached_of_a_prompt_that_may_lack_the_tools(choice: ToolChoice) -> None:
    engine = an_engine(elsewhere=True)
    engine.chat_endpoint.silent = True
    async with on_stage(OPENING, engine=engine, hand_off_url=["http://a"]) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        base = len(stage.warms[-1].prompt_ids)
        await stage.does(HandOff(tool_choice=choice))
        [told] = stage.all(HandedOff)
        assert (told.prompt_tokens, told.cached_tokens) == (0, 0 if choice == "none" else base)


REFUSED: dict[str, tuple[Open, WantedChoice, str]] = {
    "no such tool": (OPENING, NamedTool("wards"), "the name of none of the tools"),
    "no tools": (Open((SYSTEM,)), "required", "there are no tools"),
    "a newer mode": (OPENING, UnknownMode(99), "does not know tool_choice.mode 99"),
    "a structure": (
        replace(OPENING, sampling=Sampling(structure=Structure("choice", ("yes",)))),
        "required",
        "the answer has no choice",
    ),
}


@pytest.mark.parametrize(("opening", "choice", "words"), REFUSED.values(), ids=REFUSED)
async def test_a_choice_that_the_session_does_not_allow_is_refused_and_nothing_else_changes(
    opening: Open, choice: WantedChoice, words: str
) -> None:
    async with pausing(opening, hand_off_url=["http://a"], pregeneration_tokens=8) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        for kind in (Submit(tool_choice=choice), Respond(tool_choice=choice), HandOff(tool_choice=choice)):
            error = stage.error(await stage.does(kind))
            assert (error.reason, words in error.message) == (Reason.INVALID_TOOLS, True)
            assert error.draft_code_points == len(TEXT)
        seq = await stage.does(Submit())
        assert stage.finished(seq).reason == "stop"
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED


@REQUIRED
async def test_an_engine_that_parses_no_calls_refuses_the_turn_and_the_draft_stays(choice: ToolChoice) -> None:
    engine = an_engine()
    engine.chat_endpoint.parses_calls = False
    async with on_stage(OPENING, engine=engine) as stage:
        await stage.types(TEXT)
        error = stage.error(await stage.does(Submit(tool_choice=choice)))
        assert error.reason is Reason.INVALID_TOOLS
        assert "tool_choice requires a call: the engine was started without a parser for calls" in error.message
        assert error.draft_code_points == len(TEXT)
        assert stage.error(await stage.does(Respond(tool_choice=choice))).draft_code_points == len(TEXT)
        assert stage.generations == []
        await stage.submits()
        assert [request.prompt_ids for request in stage.generations] == [prompt_ids(stage, user(TEXT))]


class Adjusting(FakeChatEndpoint):
    """Has a structure of its own made for every answer that may call a tool, which this engine does not obey."""

    def splits(self, conversation: Conversation) -> bool:
        return True

    def adjusted(self, conversation: Conversation, sampling: Sampling) -> Sampling:
        strict = conversation.tool_choice != "none"
        return replace(sampling, structure=Structure("structural_tag", "{}")) if strict else sampling


async def test_a_choice_is_what_is_refused_if_only_its_answers_cannot_be_sampled_as_the_engine_needs_it() -> None:
    engine = an_engine()
    engine.chat_endpoint = Adjusting(engine, engine.chat)
    async with on_stage(replace(OPENING, tool_choice="none"), engine=engine) as stage:
        error = stage.error(await stage.does(Submit(TEXT, tool_choice="auto")))
        assert (error.reason, "no structural_tag" in error.message) == (Reason.INVALID_TOOLS, True)
        assert stage.finished(await stage.submits()).reason == "stop"


async def test_an_engine_is_asked_once_about_a_choice_that_turns_repeat() -> None:
    engine, asked = an_engine(), list[ToolChoice]()
    engine.chat_endpoint = Counting(engine, engine.chat, asked_about=asked)
    async with on_stage(OPENING, engine=engine) as stage:
        for choice in ("required", None, "required", "none"):
            await stage.does(Submit(TEXT, tool_choice=choice))
    assert asked == ["auto", "required", "none"]


@dataclass(eq=False, slots=True)
class Counting(FakeChatEndpoint):
    """Notes the choices that it was asked to check."""

    asked_about: list[ToolChoice] = field(default_factory=list)

    async def check(self, conversation: Conversation) -> None:
        self.asked_about.append(conversation.tool_choice)


class Silent(FakeChatEndpoint):
    """Cannot be asked whether it can require calls."""

    async def check(self, conversation: Conversation) -> None:
        raise EngineUnreachable("it is down")


async def test_an_engine_that_cannot_be_asked_about_a_choice_is_asked_for_the_answer() -> None:
    engine = an_engine()
    engine.chat_endpoint = Silent(engine, engine.chat)
    async with on_stage(OPENING, engine=engine) as stage:
        seq = await stage.does(Submit(TEXT, tool_choice="required"))
        assert stage.finished(seq).reason == "tool_calls"


async def test_no_other_request_goes_on_with_a_call_that_only_this_turn_requires() -> None:
    async with on_stage(OPENING) as stage:
        seq = await stage.does(Submit(TEXT, answer_so_far="{", tool_choice="required"))
        assert stage.error(seq).reason is Reason.GENERATION_FAILED
        assert "an answer with a structure cannot go on" in stage.error(seq).message


async def test_opened_speaks_of_answers_with_the_choice_of_the_session() -> None:
    for choice in ("auto", "required"):
        async with on_stage(replace(OPENING, tool_choice=choice), engine=an_engine(elsewhere=True)) as stage:
            assert stage.all(Opened)[0].splits_answers is (choice == "required")
