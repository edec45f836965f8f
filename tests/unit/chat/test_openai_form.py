"""A conversation as the body of a chat completion: all of it, and nothing that is not set."""

from typing import Any

import pytest
from forefill_service.chat.messages import ChatMessage, Conversation, ToolCall
from forefill_service.chat.openai_form import chat_fields
from forefill_service.chat.tool_choice import NamedTool, ToolChoice

CALL = ToolCall("1", "beds", '{"ward":  "B"}')
CALL_FORM = {"id": "1", "type": "function", "function": {"name": "beds", "arguments": '{"ward":  "B"}'}}


def test_what_is_not_set_is_left_out() -> None:
    plain = Conversation((ChatMessage("user", ""),))
    assert chat_fields(plain) == {"messages": [{"role": "user", "content": ""}]}


def test_everything_has_its_field() -> None:
    tool = {"type": "function", "function": {"name": "beds"}, "more": 1}
    conversation = Conversation(
        (ChatMessage("assistant", "So"),), {"x": None}, (tool,), ({"text": "a"},), "low", continue_final_message=True
    )
    assert chat_fields(conversation) == {
        "messages": [{"role": "assistant", "content": "So"}],
        "chat_template_kwargs": {"x": None},
        "tools": [tool],
        "documents": [{"text": "a"}],
        "reasoning_effort": "low",
        "continue_final_message": True,
        "add_generation_prompt": False,
    }


@pytest.mark.parametrize(
    ("message", "form"),
    [
        (ChatMessage("user", "x", name=""), {"content": "x", "name": ""}),
        (
            ChatMessage("tool", "3", name="beds", tool_call_id="1"),
            {"content": "3", "name": "beds", "tool_call_id": "1"},
        ),
        (ChatMessage("assistant", "x", tool_calls=(CALL,)), {"content": "x", "tool_calls": [CALL_FORM]}),
        (ChatMessage("assistant", "", tool_calls=(CALL,)), {"content": None, "tool_calls": [CALL_FORM]}),
        (ChatMessage("assistant", "", reasoning=""), {"content": None, "reasoning": ""}),
        (ChatMessage("assistant", "x", reasoning="Hm."), {"content": "x", "reasoning": "Hm."}),
        (ChatMessage("user", "", reasoning="Hm."), {"content": "", "reasoning": "Hm."}),
    ],
)
def test_a_message_has_what_is_set(message: ChatMessage, form: dict[str, Any]) -> None:
    assert chat_fields(Conversation((message,)))["messages"] == [{"role": message.role, **form}]


@pytest.mark.parametrize(
    ("choice", "form"),
    [
        ("auto", None),
        ("none", "none"),
        ("required", "required"),
        (NamedTool("beds"), {"type": "function", "function": {"name": "beds"}}),
    ],
)
def test_a_choice_of_tools_goes_with_them(choice: ToolChoice, form: Any) -> None:
    tool = {"type": "function", "function": {"name": "beds"}}
    assert chat_fields(Conversation((), tools=(tool,), tool_choice=choice)).get("tool_choice") == form
    assert "tool_choice" not in chat_fields(Conversation((), tool_choice=choice))


def test_that_one_tool_at_most_is_called_goes_with_the_tools() -> None:
    tool = {"type": "function", "function": {"name": "beds"}}
    assert chat_fields(Conversation(tools=(tool,), parallel_tool_calls=False))["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in chat_fields(Conversation(tools=(tool,)))
    assert "parallel_tool_calls" not in chat_fields(Conversation(parallel_tool_calls=False))
