"""Answers whose parts come apart: text, reasoning, calls of tools."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from forefill_service.chat.generation import Output, ToolCallPart
from forefill_service.chat.messages import ChatMessage, ToolCall
from forefill_service.chat.parts import AnswerSplitter, joined
from forefill_service.engine import FakeEngine, FakeSplitter
from forefill_service.errors import EngineRefused, Reason
from forefill_service.session.events import Submit
from forefill_service.session.responses import GenerationDelta, GenerationStarted, Opened, Source

from tests.support.pausing import TEXT, pausing
from tests.support.stage import BLOCK, assistant, on_stage, user

TOKENS = 6


@dataclass
class CallsATool:
    """Takes the last two tokens of an answer for a call of a tool."""

    made: list[Output] = field(default_factory=list)

    def split(self, output: Output) -> Output:
        self.made.append(output)
        if (number := len(self.made)) < TOKENS - 1:
            return output
        first, last = number == TOKENS - 1, number == TOKENS
        part = ToolCallPart(0, "call-1", "beds", "{") if first else ToolCallPart(0, arguments="}")
        return replace(output, text="", tool_calls=(part,), finish_reason="tool_calls" if last else None)


class Fails:
    """Cannot split the third token."""

    def __init__(self) -> None:
        self.seen = 0

    def split(self, output: Output) -> Output:
        self.seen += 1
        if self.seen == 3:
            raise EngineRefused("the answer could not be parsed")
        return output


def engine_with(new_splitter: Callable[[], AnswerSplitter] | None) -> FakeEngine:
    engine = FakeEngine(block_size=BLOCK, answer_tokens=TOKENS)
    engine.chat_endpoint.new_splitter = new_splitter
    return engine


async def whole_answer() -> str:
    async with on_stage(engine=engine_with(None)) as stage:
        await stage.submits("one")
        return "".join(delta.text for delta in stage.all(GenerationDelta))


@pytest.mark.parametrize("splits", [True, False])
async def test_opened_says_whether_answers_are_split(splits: bool) -> None:
    async with on_stage(engine=engine_with((lambda: FakeSplitter(2)) if splits else None)) as stage:
        [opened] = stage.all(Opened)
        assert opened.splits_answers is splits


async def test_what_the_model_thinks_comes_apart_and_is_no_part_of_the_conversation() -> None:
    words = (await whole_answer()).split()
    async with on_stage(engine=engine_with(lambda: FakeSplitter(2))) as stage:
        submit = await stage.submits("one")
        assert "".join(delta.reasoning for delta in stage.all(GenerationDelta)).split() == words[:2]
        assert "".join(delta.text for delta in stage.all(GenerationDelta)).split() == words[2:]
        assert stage.finished(submit).completion_tokens == TOKENS
        said = stage.answer_text(submit)
        await stage.submits("two")
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(user("one"), assistant(said), user("two"))


async def test_calls_of_tools_come_apart_and_are_why_the_answer_ended() -> None:
    async with on_stage(engine=engine_with(CallsATool)) as stage:
        submit = await stage.submits("one")
        calls = [part for delta in stage.all(GenerationDelta) for part in delta.tool_calls]
        assert calls == [ToolCallPart(0, "call-1", "beds", "{"), ToolCallPart(0, arguments="}")]
        assert stage.finished(submit).reason == "tool_calls"
        said = ChatMessage("assistant", stage.answer_text(submit), tool_calls=(ToolCall("call-1", "beds", "{}"),))
        await stage.submits("two")
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(user("one"), said, user("two"))


async def test_each_answer_has_a_splitter_of_its_own_which_sees_all_of_it_in_order() -> None:
    made: list[CallsATool] = []

    def new() -> CallsATool:
        made.append(CallsATool())
        return made[-1]

    async with on_stage(engine=engine_with(new)) as stage:
        await stage.submits("one")
        await stage.submits("two")
    assert [len(splitter.made) for splitter in made] == [TOKENS, TOKENS]


async def test_an_answer_that_was_begun_before_submit_is_split_in_the_parts_in_which_it_was_made() -> None:
    splitter = CallsATool()
    engine = engine_with(lambda: splitter)
    async with pausing(engine=engine) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        submit = await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert stage.finished(submit).reason == "tool_calls"
    assert [len(output.token_ids) for output in splitter.made] == [1] * TOKENS
    assert [output.finish_reason for output in splitter.made] == [None] * (TOKENS - 1) + ["stop"]


async def test_an_answer_that_cannot_be_split_is_interrupted_and_stopped() -> None:
    async with on_stage(engine=engine_with(Fails)) as stage:
        submit = await stage.submits("one")
        error = stage.error(submit)
        assert error.reason is Reason.GENERATION_INTERRUPTED
        assert "could not be parsed" in error.message
        assert stage.engine.aborted == 1


async def test_an_answer_that_is_split_cannot_go_on_from_its_text() -> None:
    async with on_stage(engine=engine_with(lambda: FakeSplitter(2))) as stage:
        submit = await stage.does(Submit("one", answer_so_far=" w1"))
        error = stage.error(submit)
        assert error.reason is Reason.GENERATION_FAILED
        assert "SUBMIT without it" in error.message


async def test_the_engines_own_endpoint_splits_what_it_answers_itself() -> None:
    engine = engine_with(lambda: FakeSplitter(2))
    engine.chat_endpoint.in_process = False
    engine.chat_endpoint.silent = True
    async with on_stage(engine=engine) as stage:
        await stage.submits("one")
        assert engine.chat_endpoint.requests
        assert [bool(delta.reasoning) for delta in stage.all(GenerationDelta)] == [
            True,
            True,
            False,
            False,
            False,
            False,
        ]


def test_parts_of_calls_are_joined_by_their_number() -> None:
    parts = [
        ToolCallPart(1, "b", "beds", "{"),
        ToolCallPart(0, "a", "wards"),
        ToolCallPart(1, arguments="}"),
        ToolCallPart(0, arguments="[]"),
    ]
    assert joined(parts) == (ToolCall("a", "wards", "[]"), ToolCall("b", "beds", "{}"))
