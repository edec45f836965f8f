"""What a session refuses to be opened with, before anything is sent."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import AsyncClient, ChatMessage, InvalidRequest, InvalidText, MessageLike, ToolCall, ToolChoice
from forefill_client.messages import message_from_wire, message_to_wire
from forefill_client.tool_choice import tool_choice_for_openai, tool_choice_to_wire

from tests.support.scripted_service import Wire, connected
from tests.support.session_events import drain, drain_opened


@pytest_asyncio.fixture
async def client() -> AsyncIterator[AsyncClient]:
    async with connected(drain_opened) as client:
        yield client


@pytest.mark.parametrize(
    "options",
    [
        {"draft": None},
        {"session_key": 3},
        {"resume_token": b"x"},
        {"cache_secret": "x" * 16},
        {"warm_mode": "off"},
        {"cache_scope": None},
        {"pregeneration": False},
        {"sampling": {"temperature": 0}},
        {"messages": None},
        {"metadata": 3},
        {"metadata": ["x"]},
        {"on_flush": 3},
        {"on_flush": drain_opened},
        {"on_state": "x"},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_a_value_of_another_type_is_refused_by_name(client: AsyncClient, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=f"{next(iter(options))} must be"):
        client.session(**options)


CALL = {"id": "1", "type": "function", "function": {"name": "beds", "arguments": "{}"}}


@pytest.mark.parametrize(
    "options",
    [
        {"connect_timeout_seconds": "1"},
        {"connect_timeout_seconds": -1},
        {"resume": {"seconds": 1}},
        {"tls": "pem"},
        {"api_key": None},
        {"credentials": "token"},
        {"metadata": None},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_connection_refuses_a_value_of_another_type_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=f"{next(iter(options))} must be"):
        AsyncClient.connect("127.0.0.1:1", **options)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"role": "assistant", "content": "x", "tool_calls": [{}]}, "tool_calls must be"),
        ({"role": "assistant", "content": "x", "tool_calls": "x"}, "tool_calls must be"),
        ({"role": "assistant", "tool_calls": [{**CALL, "type": "custom"}]}, "type 'custom'"),
        ({"role": "assistant", "tool_calls": [{**CALL, "index": 0}]}, "cannot carry 'index'"),
        ({"role": "assistant", "tool_calls": [{"function": {"arguments": {}}}]}, "arguments of a tool call"),
        ({"role": "user", "content": "x", "audio": {"id": "1"}}, "cannot carry 'audio'"),
        ({"role": "user", "content": "x", "name": 3}, "name must be"),
        ({"role": "assistant", "content": "x", "reasoning": []}, "reasoning must be"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}, "type 'image_url'"),
        (
            {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]},
            "cannot carry 'cache_control'",
        ),
        ({"role": "user", "content": ["a", {"type": "text", "text": "b"}]}, "has 2 parts"),
        ({"role": "user", "content": []}, "has 0 parts"),
        ({"role": "user"}, "a message is"),
        ({"role": "assistant", "content": None}, "a message is"),
        ({"content": "x"}, "a message is"),
        (ChatMessage("user", "x", tool_calls=({},)), "must hold ToolCall"),  # type: ignore[arg-type]
        ("user", "a message is"),
        ("ab", "a message is"),
    ],
)
async def test_what_a_message_cannot_carry_is_not_dropped_in_silence(
    client: AsyncClient, message: Any, named: str
) -> None:
    with pytest.raises(InvalidRequest, match=named):
        client.session([message])


WIRE_CALL = pb.ToolCall(id="1", name="beds", arguments="{}")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "user", "content": "x", "name": "Ann"}, pb.ChatMessage(role="user", content="x", name="Ann")),
        (
            {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None},
            pb.ChatMessage(role="assistant", tool_calls=[WIRE_CALL]),
        ),
        (
            {"role": "assistant", "tool_calls": [ToolCall("1", "beds", "{}")], "reasoning_content": "Hm."},
            pb.ChatMessage(role="assistant", tool_calls=[WIRE_CALL], reasoning="Hm."),
        ),
        (
            {"role": "assistant", "content": "x", "reasoning": "", "reasoning_content": "Hm."},
            pb.ChatMessage(role="assistant", content="x", reasoning=""),
        ),
        (
            {"role": "tool", "content": [{"type": "text", "text": "a"}, "b"], "tool_call_id": "1"},
            pb.ChatMessage(role="tool", content="a\nb", tool_call_id="1"),
        ),
        ({"role": "user", "content": [{"type": "text", "text": "x"}]}, pb.ChatMessage(role="user", content="x")),
        (
            ChatMessage("assistant", name="", tool_calls=(ToolCall("1", "beds", "{}"),), tool_call_id="", reasoning=""),
            pb.ChatMessage(role="assistant", name="", tool_calls=[WIRE_CALL], tool_call_id="", reasoning=""),
        ),
    ],
)
def test_a_message_of_openai_and_one_of_our_own_are_carried_whole(message: MessageLike, said: pb.ChatMessage) -> None:
    assert message_to_wire(message) == said
    assert message_to_wire(message_from_wire(said)) == said


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tools": {"type": "function"}}, "tools must be a list"),
        ({"tools": "beds"}, "tools must be a list"),
        ({"tools": [{}, "beds"]}, r"tools\[1\] must be a dict"),
        ({"tools": [{"function": {"parameters": {1, 2}}}]}, r"tools\[0\] must be plain JSON"),
        ({"tools": [{"function": {"name": float("nan")}}]}, r"tools\[0\] must be plain JSON"),
        ({"documents": ["text"]}, r"documents\[0\] must be a dict"),
        ({"reasoning_effort": 3}, "reasoning_effort must be"),
        ({"continue_final_message": "yes"}, "continue_final_message must be"),
        ({"draft_name": 3}, "draft_name must be"),
        ({"parallel_tool_calls": None}, "parallel_tool_calls must be"),
        ({"tool_choice": "any"}, 'tool_choice must be "none", "auto", "required" or'),
        ({"tool_choice": 3}, "tool_choice must be"),
        ({"tool_choice": {"function": {"name": ""}}}, "tool_choice must be"),
        ({"tool_choice": {"function": "beds"}}, "tool_choice must be"),
        ({"tool_choice": {"type": "custom", "function": {"name": "beds"}}}, "tool_choice must be"),
    ],
)
async def test_what_the_template_takes_is_checked_by_name(
    client: AsyncClient, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidRequest, match=named):
        client.session(**options)


async def test_text_of_a_tool_without_utf_8_is_refused(client: AsyncClient) -> None:
    with pytest.raises(InvalidText, match=r"tools\[0\]"):
        client.session(tools=[{"function": {"name": "\ud83d"}}])


async def test_what_the_template_takes_is_said_as_it_is() -> None:
    seen: list[pb.Open] = []

    async def script(wire: Wire) -> None:
        await wire.open(pb.Opened(accepts_tool_choice=True))
        seen.append(wire.opening)
        await drain(wire)

    tool = {"function": {"parameters": {"z": 1.0, "a": 2, "é": None}, "name": "beds"}}
    async with connected(script) as client:
        opened: dict[str, Any] = {"tools": [tool], "documents": iter([{"b": "x", "a": "y"}])}
        opened |= {"tool_choice": {"type": "function", "function": {"name": "beds"}}, "draft_name": "Ann"}
        opened |= {"parallel_tool_calls": False}
        async with client.session(**opened, session_key="k", reasoning_effort="low", continue_final_message=True):
            pass
        async with client.session(tools=None, documents=None, reasoning_effort=None):
            pass
    said, nothing = seen
    assert said == pb.Open(
        session_key="k",
        tools=['{"function": {"parameters": {"z": 1.0, "a": 2, "é": null}, "name": "beds"}}'],
        documents=['{"b": "x", "a": "y"}'],
        reasoning_effort="low",
        continue_final_message=True,
        tool_choice=pb.ToolChoice(function="beds"),
        draft_name="Ann",
        parallel_tool_calls=False,
        warm_mode=pb.WARM_MODE_AUTO,
        pregeneration_mode=pb.PREGENERATION_MODE_AUTO,
        sampling=pb.Sampling(),
    )
    assert (list(nothing.tools), list(nothing.documents), nothing.reasoning_effort) == ([], [], "")
    assert not nothing.HasField("tool_choice")
    assert not nothing.HasField("parallel_tool_calls")


@pytest.mark.parametrize(
    ("choice", "mode"),
    [
        ("auto", pb.TOOL_CHOICE_MODE_AUTO),
        ("none", pb.TOOL_CHOICE_MODE_NONE),
        ("required", pb.TOOL_CHOICE_MODE_REQUIRED),
    ],
)
def test_a_choice_of_tools_is_a_word_of_openai(choice: ToolChoice, mode: Any) -> None:
    assert tool_choice_to_wire(choice) == pb.ToolChoice(mode=mode)
    assert tool_choice_for_openai(pb.ToolChoice(mode=mode)) == choice


async def test_a_text_of_another_type_leaves_the_draft_as_it_was(client: AsyncClient) -> None:
    wrong: Any = 3
    wrong_number: Any = "x"
    async with client.session(draft="Show") as session:
        for call in (
            session.type(wrong),
            session.set_draft(wrong),
            session.replace(0, 1, wrong),
            session.submit(wrong),
        ):
            with pytest.raises(InvalidRequest, match="must be a str"):
                await call
        for position in (
            session.delete(wrong_number),
            session.replace(wrong_number, 1, ""),
            session.replace(0, wrong_number, ""),
            session.flush(wrong_number),
            session.rewrite(wrong_number),
        ):
            with pytest.raises(InvalidRequest, match="must be an int, not 'x'") as caught:
                await position
            assert caught.value.session_continues
        with pytest.raises(InvalidRequest, match="messages must be a list"):
            await session.rewrite(0, wrong)
        with pytest.raises(InvalidText):
            await session.type("\ud83d")
        with pytest.raises(InvalidRequest, match="cannot confirm 99"):
            await session.flush(99)
        with pytest.raises(InvalidRequest, match="no flush of this turn"):
            await session.flushed(99)
        assert session.draft == "Show"
