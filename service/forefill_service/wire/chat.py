"""Messages, tools and documents of a conversation, from the wire: their JSON text is parsed and checked here, once.

Tools are checked to have the form that vLLM accepts (`ChatCompletionToolsParam`, 0.32); what their parameters mean is
up to the template.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from forefill.v1 import keystroke_pb2 as pb

from ..chat.messages import ChatMessage, ToolCall
from ..chat.tool_choice import NamedTool, ToolChoice, UnknownMode, WantedChoice
from ..errors import Reason, Refusal
from .sampling import optional

_TOOL_CHOICES: Mapping[int, ToolChoice] = {
    pb.TOOL_CHOICE_MODE_UNSPECIFIED: "auto",
    pb.TOOL_CHOICE_MODE_AUTO: "auto",
    pb.TOOL_CHOICE_MODE_NONE: "none",
    pb.TOOL_CHOICE_MODE_REQUIRED: "required",
}
_MOST_BYTES = 256 * 1024
"""A session keeps them as values, which take up to 25 times as much memory as their text."""
_MOST_LEVELS = 64
_EFFORT = re.compile(r"[A-Za-z0-9_-]{0,32}")

_FUNCTION_KEYS: Mapping[str, tuple[type, str]] = {
    "description": (str, "a text"),
    "parameters": (dict, "an object"),
    "strict": (bool, "true or false"),
    "defer_loading": (bool, "true or false"),
}


def message_from(message: pb.ChatMessage) -> ChatMessage:
    """Convert one message of a conversation."""
    return ChatMessage(
        message.role,
        message.content,
        name=optional(message, "name"),
        tool_calls=tuple(ToolCall(call.id, call.name, call.arguments) for call in message.tool_calls),
        tool_call_id=optional(message, "tool_call_id"),
        reasoning=optional(message, "reasoning"),
    )


def tools_from(texts: Sequence[str]) -> tuple[Mapping[str, Any], ...]:
    """Convert the tools of a session; raises Refusal (INVALID_TOOLS), which names the tool by its index."""
    return tuple(_objects("tools", texts, _check_tool, Reason.INVALID_TOOLS))


def tool_choice_from(message: pb.ToolChoice) -> WantedChoice:
    """Convert a choice of tools; whether the tools allow it is for `chat.tool_choice` to say."""
    if message.WhichOneof("choice") == "function":
        return NamedTool(message.function)
    return _TOOL_CHOICES.get(message.mode, UnknownMode(message.mode))


def documents_from(texts: Sequence[str]) -> tuple[Mapping[str, str], ...]:
    """Convert the documents of a session; raises Refusal (INVALID_OPEN), which names the document by its index."""
    return tuple(_objects("documents", texts, _check_document, Reason.INVALID_OPEN))


def reasoning_effort_from(effort: str) -> str:
    """Check the form of a reasoning effort: which there are is up to the engine. Raises Refusal (INVALID_OPEN)."""
    if not _EFFORT.fullmatch(effort):
        raise Refusal(Reason.INVALID_OPEN, "reasoning_effort must be at most 32 characters of [A-Za-z0-9_-]")
    return effort


def _objects(
    name: str, texts: Sequence[str], check: Callable[[Mapping[str, Any]], None], reason: Reason
) -> Iterator[Mapping[str, Any]]:
    if (size := sum(len(text.encode()) for text in texts)) > _MOST_BYTES:
        raise Refusal(reason, f"{name} has {size} bytes, and {_MOST_BYTES} are allowed")
    for index, text in enumerate(texts):
        try:
            value = _object(text)
            check(value)
        except ValueError as error:
            raise Refusal(reason, f"{name}[{index}]{error}") from error
        yield value


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
        levels = _levels(value)
    except json.JSONDecodeError as error:
        raise ValueError(f" is not JSON: {error.msg} (character {error.pos})") from error
    except RecursionError as error:
        raise ValueError(f" has more than {_MOST_LEVELS} levels") from error
    if levels > _MOST_LEVELS:
        raise ValueError(f" has more than {_MOST_LEVELS} levels")
    if not isinstance(value, dict):
        raise ValueError(" must be a JSON object")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f" contains {name}, which JSON does not allow")


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError as error:  # Python's own limit
        raise ValueError(" holds a number of too many digits") from error


def _levels(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(_levels, children), default=0)


def _check_tool(tool: Mapping[str, Any]) -> None:
    if tool.get("type", "function") != "function":
        raise ValueError('.type must be "function"')
    if not isinstance(function := tool.get("function"), dict):
        raise ValueError(".function must be an object")
    if not isinstance(function.get("name"), str):
        raise ValueError(".function.name must be a text")
    for key, (kind, words) in _FUNCTION_KEYS.items():
        if not isinstance(function.get(key), kind | None):
            raise ValueError(f".function.{key} must be {words}")
    if not isinstance(tool.get("defer_loading"), bool | None):
        raise ValueError(".defer_loading must be true or false")


def _check_document(document: Mapping[str, Any]) -> None:
    if not all(isinstance(value, str) for value in document.values()):
        raise ValueError(" must have texts for values")
