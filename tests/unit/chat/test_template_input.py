"""Messages, tools and variables as a template gets them. The expected values are those of vLLM 0.32."""

import json
from typing import Any

import pytest
from forefill_service.chat.messages import ChatMessage, Conversation, ToolCall
from forefill_service.chat.template_input import (
    ContentFormat,
    messages_for_template,
    tool_for_template,
    variables_for_template,
)


def given(*messages: ChatMessage, content_format: ContentFormat = "string", knows: bool = True) -> list[dict[str, Any]]:
    return messages_for_template(messages, content_format, knows_developer=knows)


def call(arguments: str) -> ChatMessage:
    return ChatMessage("assistant", "", tool_calls=(ToolCall("1", "beds", arguments),))


def test_a_call_comes_with_its_arguments_as_values_and_its_keys_in_vllms_order() -> None:
    [message] = given(call('{"b": 1.0, "a": null}'))
    expected = '[{"id": "1", "function": {"arguments": {"b": 1.0, "a": null}, "name": "beds"}, "type": "function"}]'
    assert json.dumps(message["tool_calls"]) == expected


@pytest.mark.parametrize("arguments", ["", "{}", "[]", "3", "null", '"x"', '{"a": ', "no JSON"])
def test_arguments_that_are_no_object_are_none(arguments: str) -> None:
    [message] = given(call(arguments))
    assert message["tool_calls"][0]["function"]["arguments"] == {}


def test_thoughts_have_two_names() -> None:
    [message] = given(ChatMessage("assistant", "x", reasoning="Hm."))
    assert message == {"role": "assistant", "content": "x", "reasoning": "Hm.", "reasoning_content": "Hm."}


def test_only_those_who_may_have_it_have_it() -> None:
    """vLLM gives calls and thoughts of assistants alone, and ids of results alone."""
    all_of_it: dict[str, Any] = {
        "name": "Ann",
        "tool_calls": (ToolCall("1", "x", ""),),
        "tool_call_id": "2",
        "reasoning": "Hm.",
    }
    assistant, tool, user = given(*(ChatMessage(role, "x", **all_of_it) for role in ("assistant", "tool", "user")))
    assert list(assistant) == ["role", "content", "tool_calls", "reasoning", "reasoning_content", "name"]
    assert tool == {"role": "tool", "content": "x", "tool_call_id": "2", "name": "Ann"}
    assert user == {"role": "user", "content": "x", "name": "Ann"}


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        (ChatMessage("user", ""), [{"type": "text", "text": ""}]),
        (ChatMessage("assistant", ""), [{"type": "text", "text": ""}]),
        (call("{}"), []),
        (ChatMessage("assistant", "", reasoning=""), []),
        (ChatMessage("tool", "3"), "3"),
        (ChatMessage("tool", ""), ""),
    ],
)
def test_a_content_in_parts_has_none_if_there_is_no_content(message: ChatMessage, parts: object) -> None:
    [said] = given(message, content_format="openai")
    assert said["content"] == parts


def test_a_developer_that_the_template_does_not_know_keeps_the_name_as_the_only_system() -> None:
    developer = ChatMessage("developer", "x", name="Ann")
    assert given(developer) == [{"role": "developer", "content": "x", "name": "Ann", "tools": None}]
    assert given(developer, knows=False) == [{"role": "system", "content": "x", "name": "Ann"}]
    both = given(ChatMessage("system", "a"), ChatMessage("user", "u"), developer, knows=False)
    assert both == [{"role": "system", "content": "a\n\nx"}, {"role": "user", "content": "u"}]


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (
            '{"function": {"parameters": {"b": 1.0, "a": 2}, "name": "f", "more": 1}, "more": 2}',
            '{"type": "function", "function": {"name": "f", "description": null, "parameters": {"b": 1.0, "a": 2}}}',
        ),
        (
            '{"function": {"strict": false, "name": "f", "description": "d", "parameters": null}}',
            '{"type": "function", "function": {"name": "f", "description": "d", "parameters": null, "strict": false}}',
        ),
        (
            '{"defer_loading": true, "function": {"name": "f"}}',
            '{"type": "function", "function": {"name": "f", "description": null, "parameters": null, '
            '"defer_loading": true}, "defer_loading": true}',
        ),
        (
            '{"function": {"name": "f", "defer_loading": false}}',
            '{"type": "function", "function": {"name": "f", "description": null, "parameters": null, '
            '"defer_loading": false}}',
        ),
    ],
)
def test_a_tool_has_vllms_keys_in_vllms_order(tool: str, expected: str) -> None:
    assert json.dumps(tool_for_template(json.loads(tool))) == expected


@pytest.mark.parametrize(
    ("kwargs", "effort", "expected"),
    [
        ({}, "", {}),
        ({}, "low", {"reasoning_effort": "low", "enable_thinking": True}),
        ({}, "none", {"reasoning_effort": "none", "enable_thinking": False}),
        ({"enable_thinking": False}, "low", {"reasoning_effort": "low", "enable_thinking": False}),
        ({"enable_thinking": None}, "low", {"reasoning_effort": "low"}),
        ({"reasoning_effort": "high", "x": 1}, "low", {"reasoning_effort": "low", "x": 1, "enable_thinking": True}),
        ({"reasoning_effort": "high"}, "", {"reasoning_effort": "high"}),
    ],
)
def test_a_reasoning_effort_also_switches_thinking_on_or_off(
    kwargs: dict[str, Any], effort: str, expected: dict[str, Any]
) -> None:
    assert variables_for_template(Conversation((), kwargs, reasoning_effort=effort)) == expected
