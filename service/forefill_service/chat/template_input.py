"""Messages, tools and variables in the form in which vLLM's chat endpoint gives them to a chat template.

Templates print what they get, so the order of keys counts as well. Sources: `vllm.renderers.chat_utils`,
`vllm.renderers.hf` and `vllm.entrypoints.openai.chat_completion.protocol` (0.32).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from .messages import ChatMessage, Conversation, ToolCall

ContentFormat = Literal["string", "openai"]
"""How a template takes the content of a message: as text, or as a list of typed parts."""

_UNSET = (None, "auto")
"""Values of variables that vLLM takes for no value at all: `vllm.renderers.params.merge_kwargs`."""
_BILLING_HEADER = "x-anthropic-billing-header"
"""A line that changes with every request of one client program; vLLM drops it from the head of system messages."""

Said = dict[str, Any]
"""A message as a template gets it."""


def messages_for_template(
    messages: Iterable[ChatMessage], content_format: ContentFormat, *, knows_developer: bool
) -> list[Said]:
    """Return messages as the template gets them; if it does not know developers, they speak as the system."""
    said = [_message(_without_billing_header(message), content_format) for message in messages]
    if knows_developer or all(message["role"] != "developer" for message in said):
        return said
    return _with_one_system_message([_as_system(message) for message in said])


def tool_for_template(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool as the template gets it: vLLM fills in some keys, drops those that it does not know, and sorts."""
    function, defer_loading = tool["function"], tool.get("defer_loading")
    deferred = function.get("defer_loading")
    said = {"name": function["name"], "description": function.get("description")}
    said |= {"parameters": function.get("parameters")}
    said |= _set({"strict": function.get("strict"), "defer_loading": defer_loading if deferred is None else deferred})
    return {"type": "function", "function": said} | _set({"defer_loading": defer_loading})


def variables_for_template(conversation: Conversation) -> dict[str, Any]:
    """Return the template's variables beside messages, tools and documents, as far as they have a value."""
    given, effort = conversation.template_kwargs, conversation.reasoning_effort
    implied = {"reasoning_effort": effort, "enable_thinking": effort != "none"} if effort else {}
    if "enable_thinking" in given:
        implied.pop("enable_thinking", None)
    return {name: value for name, value in {**given, **implied}.items() if value not in _UNSET}


def _message(message: ChatMessage, content_format: ContentFormat) -> Said:
    said: Said = {"role": message.role, "content": _content(message, content_format)}
    if message.role == "assistant":
        if message.tool_calls:
            said["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
        if message.reasoning is not None:
            said |= {"reasoning": message.reasoning, "reasoning_content": message.reasoning}
    if message.role == "tool" and message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        said["name"] = message.name
    if message.role == "developer":
        said["tools"] = None
    return said


def _content(message: ChatMessage, content_format: ContentFormat) -> str | list[dict[str, str]]:
    if content_format == "string" or message.role == "tool":  # vLLM gives results of tools as text always
        return message.content
    return [{"type": "text", "text": message.content}] if message.has_content else []


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "function": {"arguments": _arguments(call.arguments), "name": call.name},
        "type": "function",
    }


def _arguments(text: str) -> dict[str, Any]:
    """Return what the arguments of a call say; nothing if they are no JSON object, as in vLLM."""
    try:
        arguments = json.loads(text or "{}")
    except json.JSONDecodeError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _without_billing_header(message: ChatMessage) -> ChatMessage:
    if message.role == "system" and message.content.startswith(_BILLING_HEADER):
        return replace(message, content=message.content.partition("\n")[2])
    return message


def _as_system(message: Said) -> Said:
    if message["role"] != "developer":
        return message
    return {name: value for name, value in message.items() if name != "tools"} | {"role": "system"}


def _with_one_system_message(messages: Sequence[Said]) -> list[Said]:
    """Return messages of which at most the first is the system's; what is merged is text even for parts."""
    system = [message for message in messages if message["role"] == "system"]
    if len(system) == 1 and messages[0] is system[0]:
        return list(messages)
    texts = [_text_of(message["content"]) for message in system]
    merged = {"role": "system", "content": "\n\n".join(text for text in texts if text)}
    return [merged, *(message for message in messages if message["role"] != "system")]


def _text_of(content: str | list[dict[str, str]]) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
