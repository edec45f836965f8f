"""Messages of a conversation, in every form that a caller may have them, and the tools and documents beside them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from forefill.v1 import keystroke_pb2 as pb

from .checks import as_mapping
from .errors import InvalidRequest
from .texts import checked_text


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool by the model; to call it is for the application."""

    id: str
    """Name of the call, for the `tool_call_id` of the message with its result."""
    name: str
    """Name of the function."""
    arguments: str
    """The arguments as JSON text, as the model wrote it: it may be no valid JSON."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the conversation before the draft."""

    role: str
    """The speaker: "system", "user", "assistant", "tool", or any other role that the model's template knows."""
    content: str = ""
    """The text."""
    name: str | None = None
    """The speaker's name, to tell speakers of one role apart."""
    tool_calls: tuple[ToolCall, ...] = ()
    """The tools that the assistant called in this message."""
    tool_call_id: str | None = None
    """The call whose result this is, in a message of role "tool"."""
    reasoning: str | None = None
    """The assistant's thoughts before it answered."""


MessageLike = ChatMessage | tuple[str, str] | Mapping[str, Any]
"""A message in any of three forms: a ChatMessage, (role, content), or a dict as for OpenAI's chat completions."""

_KEYS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "reasoning", "reasoning_content"})
_FORMS = 'a message is (role, content), ChatMessage or {"role", "content"}'


def message_to_wire(message: MessageLike) -> pb.ChatMessage:
    """Return a message of the wire, or raise InvalidRequest if it cannot hold it."""
    if isinstance(message, Mapping):
        message = _from_dict(message)
    elif not isinstance(message, ChatMessage):
        message = _from_pair(message)
    if not isinstance(message.role, str) or not isinstance(message.content, str):
        raise InvalidRequest(f"{_FORMS}, not {message!r:.80}")
    return pb.ChatMessage(
        role=checked_text(message.role, "role"),
        content=checked_text(message.content, "content"),
        name=_optional(message.name, "name"),
        tool_calls=[_tool_call_to_wire(call) for call in message.tool_calls],
        tool_call_id=_optional(message.tool_call_id, "tool_call_id"),
        reasoning=_optional(message.reasoning, "reasoning"),
    )


def message_from_wire(message: pb.ChatMessage) -> ChatMessage:
    """Return a message that went over the wire."""
    return ChatMessage(
        message.role,
        message.content,
        name=message.name if message.HasField("name") else None,
        tool_calls=tuple(ToolCall(call.id, call.name, call.arguments) for call in message.tool_calls),
        tool_call_id=message.tool_call_id if message.HasField("tool_call_id") else None,
        reasoning=message.reasoning if message.HasField("reasoning") else None,
    )


def message_for_openai(message: ChatMessage) -> dict[str, Any]:
    """Return a message as OpenAI's chat completions take it."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.tool_calls
    ]
    more = {
        "name": message.name,
        "tool_calls": calls or None,
        "tool_call_id": message.tool_call_id,
        "reasoning": message.reasoning,
    }
    content = message.content or (None if message.role == "assistant" and calls else "")
    return {"role": message.role, "content": content} | {
        name: value for name, value in more.items() if value is not None
    }


def json_texts(name: str, values: Iterable[Mapping[str, Any]] | None) -> list[str]:
    """Return the JSON text of each object in an argument of this name; raise InvalidRequest if they are none."""
    if values is None:
        return []
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InvalidRequest(f"{name} must be a list of dicts, not {values!r:.80}")
    return [_json_text(f"{name}[{index}]", value) for index, value in enumerate(values)]


def _json_text(name: str, value: Mapping[str, Any]) -> str:
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"{name} must be a dict, not {value!r:.80}")
    try:
        text = json.dumps(dict(value), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"{name} must be plain JSON values: {error}") from None
    return checked_text(text, name)


def _from_pair(message: object) -> ChatMessage:
    try:
        role, content = (None, None) if isinstance(message, str) else message  # type: ignore[misc]
    except (TypeError, ValueError):
        role = content = None
    if not isinstance(role, str) or not isinstance(content, str):
        raise InvalidRequest(f"{_FORMS}, not {message!r:.80}")
    return ChatMessage(role, content)


def _from_dict(message: Mapping[str, Any]) -> ChatMessage:
    if more := [key for key, value in message.items() if key not in _KEYS and value is not None]:
        raise InvalidRequest(f"a message cannot carry {', '.join(map(repr, more))}")
    if not isinstance(role := message.get("role"), str):
        raise InvalidRequest(f"{_FORMS}, not {message!r:.80}")
    calls = _tool_calls(message.get("tool_calls"))
    reasoning = message.get("reasoning")
    if reasoning is None:
        reasoning = message.get("reasoning_content")
    content = message.get("content")
    if content is None and role == "assistant" and (calls or reasoning is not None):
        content = ""  # the wire takes an empty one for none
    return ChatMessage(
        role,
        _text_of(content, role),
        name=message.get("name"),
        tool_calls=calls,
        tool_call_id=message.get("tool_call_id"),
        reasoning=reasoning,
    )


def _text_of(content: object, role: str) -> str:
    """Return a content that is a text, or parts that every template gets as one text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise InvalidRequest(f"{_FORMS}, and its content a text, not {content!r:.80}")
    texts = [_text_of_part(part) for part in cast("Sequence[object]", content)]
    if len(texts) != 1 and role != "tool":  # vLLM joins the parts of a tool's result, for every template
        raise InvalidRequest(
            f"content has {len(texts)} parts, which some templates join and others do not: give one text"
        )
    return "\n".join(texts)


def _text_of_part(part: object) -> str:
    if isinstance(part, str):
        return part
    given = as_mapping(part)
    kind = type(part).__name__ if given is None else given.get("type")
    if given is None or kind != "text" or not isinstance(given.get("text"), str):
        raise InvalidRequest(
            f"content cannot carry a part of type {kind!r}, only text: call the engine's own chat endpoint for the rest"
        )
    if more := sorted(given.keys() - {"type", "text"}):
        raise InvalidRequest(f"a part of content cannot carry {', '.join(map(repr, more))}")
    return str(given["text"])


def _tool_calls(calls: object) -> tuple[ToolCall, ...]:
    if calls is None:
        return ()
    if isinstance(calls, str) or not isinstance(calls, Iterable):
        raise InvalidRequest(f"tool_calls must be a list, not {calls!r:.80}")
    return tuple(_tool_call(call) for call in cast("Iterable[object]", calls))


def _tool_call(call: object) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    given = as_mapping(call)
    function = None if given is None else as_mapping(given.get("function"))
    if given is None or function is None:
        raise InvalidRequest(
            f'tool_calls must be [{{"id", "type": "function", "function": {{...}}}}], not {call!r:.80}'
        )
    if (kind := given.get("type", "function")) != "function":
        raise InvalidRequest(f"tool_calls cannot carry a call of type {kind!r}, only of functions")
    more = sorted(given.keys() - {"id", "type", "function"}) + sorted(function.keys() - {"name", "arguments"})
    if more:
        raise InvalidRequest(f"a call in tool_calls cannot carry {', '.join(map(repr, more))}")
    return ToolCall(given.get("id", ""), function.get("name", ""), function.get("arguments", ""))


def _tool_call_to_wire(call: ToolCall) -> pb.ToolCall:
    if not isinstance(call, ToolCall):
        raise InvalidRequest(f"tool_calls must hold ToolCall, not {call!r:.80}")
    return pb.ToolCall(
        id=checked_text(call.id, "the id of a tool call"),
        name=checked_text(call.name, "the name of a tool call"),
        arguments=checked_text(call.arguments, "the arguments of a tool call (JSON text)"),
    )


def _optional(text: str | None, name: str) -> str | None:
    return None if text is None else checked_text(text, name)
