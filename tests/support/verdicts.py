"""Engines whose chat endpoint agrees with the fast path, differs from it, or does not answer; and stages on them."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import FakeChat, FakeEngine
from forefill_service.errors import EngineSlow, Reason, Refusal
from forefill_service.serving.rendering import Verdict

from tests.support.other_chat import OtherChat
from tests.support.stage import BLOCK, SYSTEM, Stage, on_stage, user

TEXT = "how many cars are there in all of the towns"
CONFIRMED = "how many cars are there in all of the "


class ShoutingChat(OtherChat):
    """Does more with the user's text than to quote it."""

    def render(self, conversation: Conversation) -> str:
        *before, last = conversation.messages
        shouted = ChatMessage(last.role, last.content.upper())
        return super().render(replace(conversation, messages=(*before, shouted)))


class WaryChat(FakeChat):
    """A template that refuses the text of a special token in what the user says."""

    def render(self, conversation: Conversation) -> str:
        if any("<|" in message.content for message in conversation.messages):
            raise Refusal(Reason.TEMPLATE_REFUSED, "no special tokens, please")
        return super().render(conversation)


class NeverBack:
    """Keeps the first two renderings, those of the comparison, for ever."""

    def __init__(self) -> None:
        self.left = 2

    async def __call__(self) -> None:
        self.left -= 1
        if self.left >= 0:
            await asyncio.get_running_loop().create_future()


def engine_with(verdict: Verdict, *, in_process: bool) -> FakeEngine:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.in_process = in_process
    if verdict is not Verdict.AGREES:
        engine.chat_endpoint.chat = OtherChat()
    return engine


def stage_with(verdict: Verdict, *, in_process: bool, **settings: Any) -> AbstractAsyncContextManager[Stage]:
    """Return a stage on whose engine the comparison ends so; UNKNOWN: it fails, and later questions do not."""
    engine = engine_with(verdict, in_process=in_process)
    if verdict is Verdict.CHECKING:
        engine.chat_endpoint.wait = NeverBack()
    if verdict is Verdict.UNKNOWN:
        engine.chat_endpoint.wait = Fails(EngineSlow("it does not answer"), times=2)
    return on_stage(engine=engine, **settings)


class Fails:
    """Fails the first questions."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times = error, times

    async def __call__(self) -> None:
        self.times -= 1
        if self.times >= 0:
            raise self.error


def theirs(text: str) -> list[int]:
    return FakeChat().encode(OtherChat().render(Conversation((SYSTEM, user(text)))))


def own(text: str) -> list[int]:
    return FakeChat().encode(FakeChat().render(Conversation((SYSTEM, user(text)))))


def common(*prompts: list[int]) -> list[int]:
    length = next((i for i, ids in enumerate(zip(*prompts, strict=False)) if len(set(ids)) > 1), len(prompts[0]))
    return prompts[0][:length]


def whole_blocks(ids: list[int]) -> list[int]:
    return ids[: len(ids) // BLOCK * BLOCK]
