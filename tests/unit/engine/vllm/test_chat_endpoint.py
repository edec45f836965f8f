"""vLLM's rendering on threads: it blocks nobody, and one that sticks is given up."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling, Structure
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.parts import AnswerSplitter
from forefill_service.engine import ChatRequest, FakeSplitter, Output, Priority, Request
from forefill_service.engine.vllm.chat_endpoint import VllmChatEndpoint
from forefill_service.errors import EngineSlow, Reason, Refusal

CONVERSATION = Conversation((ChatMessage("user", "So?"),))
STICKS = Conversation(CONVERSATION.messages, {"sticks": True})
REFUSED = Conversation(CONVERSATION.messages, {"refused": True})
REQUIRES = Conversation(CONVERSATION.messages, tools=({"function": {"name": "beds"}},), tool_choice="required")
UNUSABLE = Sampling(structure=Structure("json", "{"))
FOREVER = 60.0
A_MOMENT = 0.05


class Rendering:
    """Takes the place of vLLM's: `goes_on` holds what STICKS, `begun` counts."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.begun = threading.Semaphore(0)
        self.threads: list[int] = []
        self.split: AnswerSplitter | None = None
        self.required: Sampling | None = None

    def splitter(self, conversation: Conversation, prompt_ids: Sequence[int]) -> AnswerSplitter | None:
        return self.split

    def requiring(self, conversation: Conversation) -> Sampling:
        self.threads.append(threading.get_ident())
        if self.required is None:
            raise Refusal(Reason.INVALID_TOOLS, "it parses no calls")
        return self.required

    def ids(self, conversation: Conversation) -> list[int]:
        self.threads.append(threading.get_ident())
        self.begun.release()
        if conversation is STICKS:
            self.goes_on.wait(FOREVER)
        if conversation is REFUSED:
            raise Refusal(Reason.TEMPLATE_REFUSED, "no")
        return [len(message.content) for message in conversation.messages]


@pytest.fixture
def rendering() -> Iterator[Rendering]:
    rendering = Rendering()
    yield rendering
    rendering.goes_on.set()


async def answering(request: Request) -> AsyncGenerator[Output, None]:
    yield Output("a", (1,), 0)
    yield Output("b", (2,), 0, "stop")


async def validate(sampling: Sampling) -> None:
    if sampling == UNUSABLE:
        raise Refusal(Reason.INVALID_SAMPLING, "the engine cannot use the JSON Schema")


def endpoint(rendering: Any, seconds: float = FOREVER) -> VllmChatEndpoint:
    return VllmChatEndpoint(rendering, answering, seconds, validate)


async def test_it_renders_off_the_event_loop(rendering: Rendering) -> None:
    assert await endpoint(rendering).ids(CONVERSATION) == [3]
    assert rendering.threads != [threading.get_ident()]


async def test_refusals_pass_through(rendering: Rendering) -> None:
    with pytest.raises(Refusal, match="no"):
        await endpoint(rendering).ids(REFUSED)


async def test_a_rendering_that_sticks_is_given_up_and_the_next_has_a_thread_of_its_own(rendering: Rendering) -> None:
    hasty = endpoint(rendering, A_MOMENT)
    given_up = [hasty.ids(STICKS) for _ in range(3 * (os.cpu_count() or 1))]  # more than may be at work at once
    assert {type(error) for error in await asyncio.gather(*given_up, return_exceptions=True)} == {EngineSlow}
    hasty.seconds = FOREVER
    assert await hasty.ids(CONVERSATION) == [3]


class Endless(Rendering):
    """Never ends by itself."""

    def ids(self, conversation: Conversation) -> list[int]:
        self.thread = threading.current_thread()
        self.begun.release()
        while True:
            pass


@pytest.mark.parametrize("waited_for", [True, False])
async def test_a_rendering_that_never_ends_is_stopped_whether_anybody_waits_or_not(waited_for: bool) -> None:
    rendering = Endless()
    asked = asyncio.create_task(endpoint(rendering, A_MOMENT).ids(CONVERSATION))
    await asyncio.to_thread(rendering.begun.acquire)
    if not waited_for:
        asked.cancel()
    with pytest.raises(EngineSlow if waited_for else asyncio.CancelledError):
        await asked
    await asyncio.to_thread(rendering.thread.join, FOREVER)
    assert not rendering.thread.is_alive()


async def test_a_caller_that_stops_waiting_does_not_disturb_it(rendering: Rendering) -> None:
    asked = asyncio.create_task(endpoint(rendering).ids(STICKS))
    await asyncio.to_thread(rendering.begun.acquire)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    rendering.goes_on.set()
    assert await endpoint(rendering).ids(CONVERSATION) == [3]


async def test_an_answer_says_its_prompt_with_its_first_part(rendering: Rendering) -> None:
    asked = ChatRequest(CONVERSATION, Sampling(), Priority.GENERATION)
    said = [output.prompt_ids async for output in endpoint(rendering).generate(asked)]
    assert said == [(3,), None]


async def test_an_answer_comes_apart_as_vllms_parsers_split_it(rendering: Rendering) -> None:
    rendering.split = FakeSplitter(1)
    asked = ChatRequest(CONVERSATION, Sampling(), Priority.GENERATION)
    said = [(output.text, output.reasoning) async for output in endpoint(rendering).generate(asked)]
    assert said == [("", "a"), ("b", "")]


async def test_calls_that_nobody_requires_are_not_checked(rendering: Rendering) -> None:
    await endpoint(rendering).check(CONVERSATION)
    assert rendering.threads == []


async def test_required_calls_are_checked_off_the_event_loop(rendering: Rendering) -> None:
    rendering.required = Sampling()
    await endpoint(rendering).check(REQUIRES)
    assert rendering.threads != [threading.get_ident()]


@pytest.mark.parametrize(
    ("required", "words"), [(None, "it parses no calls"), (UNUSABLE, "cannot use the JSON Schema")]
)
async def test_calls_that_cannot_be_required_are_refused_as_tools(
    rendering: Rendering, required: Sampling | None, words: str
) -> None:
    rendering.required = required
    with pytest.raises(Refusal, match=words) as refused:
        await endpoint(rendering).check(REQUIRES)
    assert refused.value.reason is Reason.INVALID_TOOLS
