"""A conversation in the form of a request to vLLM's chat endpoint, which renders it with the code that decides."""

from collections.abc import Mapping
from typing import Any

from .messages import ChatMessage, Conversation, ToolCall
from .tool_choice import NamedTool, ToolChoice


def chat_fields(conversation: Conversation) -> dict[str, Any]:
    """Return the fields of a chat completion that decide which prompt it has, and which tools its answer calls.

    What is not set is left out, so that the endpoint fills it in as for any client; so is `tool_choice` "auto".
    """
    given = {
        "tools": [dict(tool) for tool in conversation.tools],
        "documents": [dict(document) for document in conversation.documents],
        "reasoning_effort": conversation.reasoning_effort,
        "chat_template_kwargs": dict(conversation.template_kwargs),
    }
    fields: dict[str, Any] = {"messages": [_message(message) for message in conversation.messages]}
    fields |= {name: value for name, value in given.items() if value}
    if conversation.continue_final_message:
        fields |= {"continue_final_message": True, "add_generation_prompt": False}
    if conversation.tools and conversation.tool_choice != "auto":
        fields["tool_choice"] = _tool_choice(conversation.tool_choice)
    if conversation.tools and not conversation.parallel_tool_calls:
        fields["parallel_tool_calls"] = False
    return fields


def _tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    return {"type": "function", "function": {"name": choice.name}} if isinstance(choice, NamedTool) else choice


def _message(message: ChatMessage) -> Mapping[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.content if message.has_content else None}
    if message.name is not None:
        said["name"] = message.name
    if message.tool_calls:
        said["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    if message.reasoning is not None:
        said["reasoning"] = message.reasoning
    return said


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
