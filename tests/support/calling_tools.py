"""Sessions with tools on their stage: the calls in their answers, and the ids of their prompts."""

from dataclasses import replace
from typing import Any

from forefill_service.chat.generation import ToolCallPart
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.tool_choice import NamedTool, ToolChoice
from forefill_service.engine import FakeChat, FakeEngine
from forefill_service.session.events import Open
from forefill_service.session.responses import GenerationDelta

from .stage import BLOCK, SYSTEM, Stage

TEXT = "twelve thirteen fourteen fifteen sixteen seventeen eighteen "
TOOLS = tuple({"type": "function", "function": {"name": name}} for name in ("beds", "staff"))
OPENING = Open((SYSTEM,), tools=TOOLS)
CHOICES: dict[ToolChoice, tuple[str, str]] = {
    "required": ("beds", "tool_calls"),
    NamedTool("staff"): ("staff", "stop"),
}
"""By choice: the tool that the fake engine calls, and why the answer ends then, as at vLLM's chat endpoint."""


class ExcludingChat(FakeChat):
    """Leaves tools out of the prompt if none may be called."""

    def render(self, conversation: Conversation) -> str:
        return super().render(conversation.prompting(excludes_tools=True))


def an_engine(*, elsewhere: bool = False, excludes_tools: bool = False) -> FakeEngine:
    """Return an engine whose chat endpoint is in process, or elsewhere as a vLLM server's is."""
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.in_process = not elsewhere
    if excludes_tools:
        engine.chat = engine.chat_endpoint.chat = ExcludingChat()
    return engine


def calls(stage: Stage, seq: int | None = None) -> list[ToolCallPart]:
    """Return the parts of calls in all answers, or in one."""
    return [part for delta in stage.all(GenerationDelta) if seq in (None, delta.seq) for part in delta.tool_calls]


def prompt_ids(stage: Stage, *messages: ChatMessage, **fields: Any) -> list[int]:
    """Return the ids of the session's conversation with these messages and fields, as the endpoint makes them."""
    chat = stage.engine.chat_endpoint.chat
    conversation = replace(stage.opening.conversation((*stage.opening.messages, *messages)), **fields)
    return chat.encode(chat.render(conversation))
