"""A conversation as values: all that a chat template takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .tool_choice import ToolChoice, requires_a_call

MOST_MESSAGES = 16_384
"""The most messages, and calls of tools in them, of a conversation: each is work for everybody, however short it is."""
MESSAGE_SIZE = 64
"""Code points that a message, or a call of a tool in it, counts for beside its own: an empty one takes memory, too."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool by the assistant."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation."""

    role: str
    content: str
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: str | None = None
    size: int = field(init=False, repr=False, compare=False)
    """The code points that it counts for; known beforehand, since a Rewrite counts those of all messages."""

    def __post_init__(self) -> None:
        texts = [self.role, self.content, self.name, self.tool_call_id, self.reasoning]
        for call in self.tool_calls:
            texts += [call.id, call.name, call.arguments]
        counted = MESSAGE_SIZE * (1 + len(self.tool_calls)) + sum(len(text) for text in texts if text)
        object.__setattr__(self, "size", counted)

    @property
    def has_content(self) -> bool:
        """Whether there is a content, if only an empty one: an assistant that calls a tool or thinks may have none."""
        says_something_else = bool(self.tool_calls) or self.reasoning is not None
        return bool(self.content) or self.role != "assistant" or not says_something_else


def count_messages(messages: Iterable[ChatMessage]) -> int:
    """Return the number of messages, and of the calls of tools in them."""
    return sum(1 + len(message.tool_calls) for message in messages)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of a conversation, and what else the chat template takes.

    In a session all that stays the same, but for `tool_choice`, which a turn may have of its own.
    """

    messages: tuple[ChatMessage, ...] = ()
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Further variables for the template."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """In OpenAI's form, with all that the client gave."""
    documents: tuple[Mapping[str, str], ...] = ()
    reasoning_effort: str = ""
    """Empty for the template's own."""
    continue_final_message: bool = False
    """Whether the last message is the beginning of one that the answer continues."""
    tool_choice: ToolChoice = "auto"
    draft_name: str | None = None
    """The name of who speaks in the drafts."""
    parallel_tool_calls: bool = True
    """Whether an answer may call several tools."""

    @property
    def requires_a_call(self) -> bool:
        """Whether an answer has to call a tool."""
        return requires_a_call(self.tool_choice)

    def prompting(self, *, excludes_tools: bool) -> "Conversation":
        """Return it as its prompt shows it: without tools that may not be called, if the engine excludes these."""
        return replace(self, tools=()) if excludes_tools and self.tool_choice == "none" else self

    def drafted(self, text: str | None) -> "Conversation":
        """Return it with a draft, if there is one, as its last message: the user's, or the assistant's beginning."""
        if text is None:
            return self
        role = "assistant" if self.continue_final_message else "user"
        return replace(self, messages=(*self.messages, ChatMessage(role, text, name=self.draft_name)))

    def answered(self, text: str | None, answer: str, tool_calls: tuple[ToolCall, ...] = ()) -> "Conversation":
        """Return it with the draft that was submitted, if any, and its answer; what the model thought is not kept."""
        asked = self.drafted(text).messages
        if self.continue_final_message:
            *before, begun = asked
            whole = replace(begun, content=begun.content + answer, tool_calls=(*begun.tool_calls, *tool_calls))
            return replace(self, messages=(*before, whole))
        return replace(self, messages=(*asked, ChatMessage("assistant", answer, tool_calls=tool_calls)))
