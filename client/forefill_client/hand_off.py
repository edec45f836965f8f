"""Hand-offs: the application asks the engine itself, with a request that finds what was warmed."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from forefill.v1 import keystroke_pb2 as pb
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from .checks import as_mapping, checked_iterable
from .errors import InvalidRequest
from .messages import ChatMessage, MessageLike, message_for_openai, message_to_wire
from .report import Ledger
from .tool_choice import tool_choice_for_openai


class CompletionUsage(Protocol):
    """The usage of a chat completion, as openai-python has it. `prompt_tokens_details` is read, too, if it is there."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt."""
        ...

    @property
    def completion_tokens(self) -> int:
        """Tokens of the answer."""
        ...


UsageLike = CompletionUsage | Mapping[str, Any]
"""The usage of a chat completion, as an object or as parsed JSON."""


@dataclass(frozen=True, slots=True)
class HandedOffRequest:
    """What a chat-completions request of your own must carry to find what was warmed.

    The same messages, tools and template variables as the session's give the same prompt; of another prompt the part is
    found that both begin with.
    """

    text: str = field(repr=False)
    """The text that was handed off: the last message, of the user or, with `continue_final_message`, the assistant's
    that the answer continues."""
    messages: tuple[ChatMessage, ...] = field(repr=False)
    """The whole conversation, with that message."""
    base_url: str
    """Where the engine's OpenAI API is, such as "http://10.0.0.7:8000/v1"."""
    headers: Mapping[str, str]
    """HTTP headers that lead to the right server behind a router, and to the right engine inside a server."""
    cache_salt: str = field(repr=False)
    """The field `cache_salt` of the body; "": leave it out. Who has it can hit what the session has cached."""
    model: str
    """The field `model` of the body."""
    prompt_tokens: int
    """Tokens of the prompt that the engine makes of `messages`; 0 if only the engine knows."""
    cached_tokens: int
    """Leading tokens of exactly that prompt that are believed to be cached, in whole blocks."""
    tools: tuple[Mapping[str, Any], ...] = field(repr=False)
    """The field `tools` of the body: those that the session was opened with."""
    prompt_fields: Mapping[str, Any] = field(repr=False)
    """The other fields of the body, as the session has them: those that decide the prompt, such as
    `chat_template_kwargs`, and `parallel_tool_calls`."""
    tool_choice: str | Mapping[str, Any] | None = field(repr=False)
    """The field `tool_choice` of the body, as the hand-off or else the session has it; None: leave it out."""

    @property
    def extra_body(self) -> dict[str, Any]:
        """What the body carries beside the fields that OpenAI knows: `extra_body` of openai-python."""
        salt = {"cache_salt": self.cache_salt} if self.cache_salt else {}
        return {**salt, **self.prompt_fields}

    def for_openai(self) -> dict[str, Any]:
        """Return the arguments of `client.chat.completions.create` of openai-python: `create(**handed.for_openai())`.

        They are model, messages, tools if there are any, and what the session chose of them, extra_headers and
        extra_body. Add what else you want: stream, response_format. For a request with messages of your own, take
        `headers` and `extra_body`.
        """
        tools: dict[str, Any] = {"tools": [dict(tool) for tool in self.tools]} if self.tools else {}
        if self.tools and self.tool_choice is not None:
            tools["tool_choice"] = self.tool_choice
        return {
            "model": self.model,
            "messages": [message_for_openai(message) for message in self.messages],
            **tools,
            "extra_headers": dict(self.headers),
            "extra_body": self.extra_body,
        }


EndHandOff = Callable[[pb.HandOffFinished | None], Awaitable[Ledger | None]]
"""Ends a hand-off by what came of it, None: it is taken back."""


@dataclass(frozen=True, slots=True)
class HandedOff(HandedOffRequest):
    """What your own request must carry, from `Session.hand_off`; say what came of it with `finished` or `cancel`.

    Until then the session is in the middle of a turn: the next draft may be typed, but not submitted.
    """

    _end: EndHandOff = field(repr=False, compare=False)

    async def finished(
        self,
        answer: str | None = None,
        *,
        messages: Iterable[MessageLike] = (),
        usage: UsageLike | None = None,
    ) -> Ledger | None:
        """End the hand-off: the conversation gets the question and its `answer`, or these `messages`.

        Without either, nothing came of it: the conversation is as before, and the text is the draft again, unless
        something else has been typed. Give the `usage` of your request, so that the ledger is settled by what the
        engine found; otherwise it is settled by what the server believes. Returns the ledger; None if the stream broke
        meanwhile. Raises InvalidRequest if the messages do not fit, and the hand-off is still open then.
        """
        return await self._end(finished_to_wire(self.messages[-1], answer, messages, usage))

    async def cancel(self) -> None:
        """End the hand-off without an answer, as the user stopped it: the conversation is as before.

        Your own request is yours to stop. If the hand-off is over by then, nothing happens.
        """
        await self._end(None)


def finished_to_wire(
    asked: ChatMessage, answer: str | None, messages: Iterable[MessageLike], usage: UsageLike | None
) -> pb.HandOffFinished:
    """Return the wire's HandOffFinished, or raise InvalidRequest if it cannot hold a value.

    `asked` is what was handed off: a question, or the beginning of a message of the assistant's.
    """
    given = [message_to_wire(message) for message in checked_iterable(messages, "messages")]
    if answer is not None and given:
        raise InvalidRequest("give either the answer or the messages", session_continues=True)
    if answer is not None and asked.role == "assistant":
        given = [message_to_wire(("assistant", asked.content + answer))]
    elif answer is not None:
        given = [message_to_wire(asked), message_to_wire(("assistant", answer))]
    finished = pb.HandOffFinished(messages=given)
    for name, value in _counts(usage).items():
        setattr(finished, name, value)
    return finished


def _counts(usage: UsageLike | None) -> dict[str, int]:
    if usage is None:
        return {}
    found = {
        "prompt_tokens": _read(usage, "prompt_tokens"),
        "cached_tokens": _read(_read(usage, "prompt_tokens_details"), "cached_tokens"),
        "completion_tokens": _read(usage, "completion_tokens"),
    }
    counts = {name: value for name, value in found.items() if value is not None}
    if not counts or not all(type(value) is int and 0 <= value < 2**32 for value in counts.values()):
        raise InvalidRequest(f"usage must be that of a chat completion, not {usage!r:.80}", session_continues=True)
    return counts


def _read(value: Any, name: str) -> Any:
    given = as_mapping(value)
    return getattr(value, name, None) if given is None else given.get(name)


def prompt_fields(opening: pb.Open, choice: pb.ToolChoice | None) -> dict[str, Any]:
    """Return the fields of a `HandedOffRequest` that say how a session was opened, and which tools it may call."""
    given = {
        "documents": [json.loads(document) for document in opening.documents],
        "reasoning_effort": opening.reasoning_effort,
        "chat_template_kwargs": plain_json(opening.chat_template_kwargs),
    }
    fields: dict[str, Any] = {name: value for name, value in given.items() if value}
    if opening.continue_final_message:
        fields |= {"continue_final_message": True, "add_generation_prompt": False}
    if opening.tools and opening.HasField("parallel_tool_calls"):
        fields["parallel_tool_calls"] = opening.parallel_tool_calls
    tools = tuple(json.loads(tool) for tool in opening.tools)
    chosen = tool_choice_for_openai(opening.tool_choice if choice is None else choice)
    return {"tools": tools, "prompt_fields": fields, "tool_choice": chosen}


def plain_json(struct: Struct) -> dict[str, Any]:
    """Return a Struct as JSON data; whole numbers are integers, as at the server: a Struct has only floats."""
    return cast("dict[str, Any]", _with_integers(json_format.MessageToDict(struct)))


def _with_integers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_integers(item) for item in cast("list[object]", value)]
    given = as_mapping(value)
    return value if given is None else {key: _with_integers(item) for key, item in given.items()}
