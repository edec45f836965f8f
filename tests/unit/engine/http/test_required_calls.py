"""What a server is asked when a session opens that requires calls of tools, and its answers to such sessions."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling, ToolCallPart
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.tool_choice import NamedTool, ToolChoice
from forefill_service.engine import ChatRequest, Priority
from forefill_service.engine.probes import TOOL
from forefill_service.errors import EngineError, Reason, Refusal

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.refusing_chat import RefusingChat
from tests.support.remote_engine import remote_engine

NAMED = {"type": "function", "function": {"name": "count"}}
CHOICES: dict[ToolChoice, Any] = {"required": "required", NamedTool("count"): NAMED}
REQUIRED = pytest.mark.parametrize("choice", CHOICES, ids=["required", "named"])


def requiring(choice: ToolChoice, **fields: Any) -> Conversation:
    return Conversation(**{"tools": (TOOL,), "tool_choice": choice, **fields})


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with fake_vllm(answer_tokens=3) as server:
        yield server


@REQUIRED
async def test_the_chat_endpoint_is_asked_for_one_token_with_the_sessions_own_tools_once(
    server: FakeVllm, choice: ToolChoice
) -> None:
    async with remote_engine(server) as engine:
        before = len(server.chats)
        await engine.chat_endpoint.check(requiring(choice, messages=(ChatMessage("user", "secret"),)))
        [asked] = server.chats[before:]
        assert (asked["tool_choice"], asked["tools"], asked["max_tokens"]) == (CHOICES[choice], [TOOL], 1)
        assert "secret" not in str(asked)
        await engine.chat_endpoint.check(requiring(choice))
        assert len(server.chats) == before + 1, "what it has taken once is not asked again"
        await engine.chat_endpoint.check(requiring(choice, tools=(TOOL, TOOL)))
        assert len(server.chats) == before + 2


@pytest.mark.parametrize("choice", ["auto", "none"])
async def test_a_session_that_requires_no_call_asks_nothing(server: FakeVllm, choice: ToolChoice) -> None:
    server.parses_calls = False
    async with remote_engine(server) as engine:
        before = len(server.chats)
        await engine.chat_endpoint.check(requiring(choice))
        assert len(server.chats) == before


@REQUIRED
async def test_a_server_without_a_parser_of_calls_is_found_out(server: FakeVllm, choice: ToolChoice) -> None:
    server.parses_calls = False
    async with remote_engine(server) as engine:
        with pytest.raises(Refusal, match="tool_choice requires a call: the engine") as refused:
            await engine.chat_endpoint.check(requiring(choice))
        assert refused.value.reason is Reason.INVALID_TOOLS


async def test_parameters_that_the_server_makes_no_structure_of_are_refused_in_words_of_ours(server: FakeVllm) -> None:
    server.refuses = "Invalid JSON Schema: secret"
    async with remote_engine(server) as engine:
        with pytest.raises(Refusal, match="cannot use the JSON Schema") as refused:
            await engine.chat_endpoint.check(requiring("required"))
        assert refused.value.reason is Reason.INVALID_TOOLS
        assert "secret" not in str(refused.value)


async def test_a_server_that_refuses_the_question_itself_says_nothing_of_calls(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.chat = RefusingChat("no question alone")
        await engine.chat_endpoint.check(requiring("required"))
        server.chat, server.parses_calls = server.engine.chat, False
        with pytest.raises(Refusal):
            await engine.chat_endpoint.check(requiring("required"))


async def test_a_server_that_cannot_be_asked_now_is_asked_again(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.faults.status = 503
        with pytest.raises(EngineError):
            await engine.chat_endpoint.check(requiring("required"))
        server.faults.status = None
        await engine.chat_endpoint.check(requiring("required"))


async def test_a_server_that_has_started_again_is_asked_again(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        await engine.chat_endpoint.check(requiring("required"))
        server.parses_calls = False
        engine.monitor.restarted.set()
        async with aclosing(engine.cache_changes()) as changes:
            await anext(changes)
        with pytest.raises(Refusal):
            await engine.chat_endpoint.check(requiring("required"))


@REQUIRED
async def test_the_server_finds_the_call_in_its_own_answer(server: FakeVllm, choice: ToolChoice) -> None:
    talk = requiring(choice, messages=(ChatMessage("user", "How many?"),))
    async with remote_engine(server) as engine:
        assert engine.chat_endpoint.answers_itself(talk)
        assert engine.chat_endpoint.splits(talk)
        request = ChatRequest(talk, Sampling(), Priority.GENERATION)
        outputs = [output async for output in engine.chat_endpoint.generate(request)]
    parts = [part for output in outputs for part in output.tool_calls]
    assert parts[0] == ToolCallPart(0, "call-1", "count", parts[0].arguments)
    assert {part.name for part in parts[1:]} == {""}
    assert "".join(output.text for output in outputs) == ""


async def test_its_ids_are_asked_for_with_the_choice(server: FakeVllm) -> None:
    talk = requiring("none", messages=(ChatMessage("user", "How many?"),))
    async with remote_engine(server) as engine:
        server.excludes_tools = True
        without = server.engine.chat.encode(server.engine.chat.render(replace(talk, tools=())))
        assert await engine.chat_endpoint.ids(talk) == without
        assert await engine.chat_endpoint.ids(replace(talk, tool_choice="auto")) != without
