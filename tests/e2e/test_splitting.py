"""Answers of real vLLM come apart as its chat endpoint splits them: what is said, and the tools that are called.

The packaged model calls no tools by itself, so a regular expression makes it write calls in the form of Hermes.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from forefill_client import AsyncClient, ChatMessage, FinishReason, PregenerationMode, Sampling
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.engine.vllm.chat import vllm_chat
from forefill_service.engine.vllm.load import LoadReader
from forefill_service.engine.vllm.rendering import VllmRendering
from forefill_service.engine.vllm.start import StartedVllm
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.template_habits import HABITS
from tests.support.vllm_endpoint import ChatEndpoint, chat_endpoint

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:max_tokens is deprecated"),
]

PARAMETERS = {"type": "object", "properties": {"ward": {"type": "integer"}}}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in ("beds", "staff")
]
QUESTION = "How many beds are free in ward 3?"
CALL = r'<tool_call>\n\{"name": "(beds|staff)", "arguments": \{"ward": [1-9]\}\}\n</tool_call>'
SHAPES = {
    "a call": CALL,
    "text, then a call": rf"I look it up\.\n{CALL}",
    "two calls": rf"{CALL}\n{CALL}",
    "no call": r"[A-Z][a-z]{3,8} and [0-9]{2} beds\.",
}
MOST = 80


@dataclass(frozen=True, slots=True)
class Sides:
    """forefill beside vLLM's own application, on one engine, with the same parser of calls."""

    address: str
    endpoint: ChatEndpoint


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sides(embedded_engine: EmbeddedEngine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sides]:
    file = tmp_path_factory.mktemp("template") / "template.jinja"
    file.write_text(HABITS["tools_in_the_system_prompt"])
    vllm = embedded_engine.vllm
    started = StartedVllm(vllm, embedded_engine.info.model, LoadReader(), None)
    engine = EmbeddedEngine(started, vllm_chat(vllm, file), VllmRendering(vllm, file, "hermes"))
    flags = ("--chat-template", str(file), "--enable-auto-tool-choice", "--tool-call-parser", "hermes")
    async with (
        running_server([engine], Settings(port=0, metrics_port=-1)) as server,
        chat_endpoint(embedded_engine, *flags) as endpoint,
    ):
        yield Sides(server.address, endpoint)


def calls_of(message: dict[str, Any]) -> list[tuple[str, str]]:
    return [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or []]


@pytest.mark.parametrize("begun_before_enter", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
async def test_an_answer_comes_apart_as_the_endpoint_splits_it(
    sides: Sides, shape: str, begun_before_enter: bool
) -> None:
    request = {"messages": [{"role": "user", "content": QUESTION}], "tools": TOOLS, "max_tokens": MOST}
    completion = await sides.endpoint.complete_request({**request, "structured_outputs": {"regex": SHAPES[shape]}})
    [choice] = completion["choices"]
    sampling = Sampling(temperature=0, max_tokens=MOST, regex=SHAPES[shape])
    mode = PregenerationMode.ON if begun_before_enter else PregenerationMode.OFF
    async with (
        AsyncClient.connect(sides.address) as client,
        client.session(tools=TOOLS, sampling=sampling, pregeneration=mode) as session,
    ):
        assert session.opened.splits_answers
        await session.type(QUESTION)
        if begun_before_enter:
            await session.hint()
        answer = await session.submit()
        parts = [part async for part in answer.parts()]
    assert "".join(part.text for part in parts).strip() == (choice["message"]["content"] or "").strip()
    assert [(call.name, call.arguments) for call in answer.tool_calls] == calls_of(choice["message"])
    assert answer.report.finish_reason == FinishReason(choice["finish_reason"])
    assert len(answer.tool_calls) == len(re.findall("tool_call>", SHAPES[shape])) / 2


async def test_the_next_turn_has_the_calls_of_the_last(sides: Sides) -> None:
    sampling = Sampling(temperature=0, max_tokens=MOST, regex=SHAPES["a call"])
    async with (
        AsyncClient.connect(sides.address) as client,
        client.session(tools=TOOLS, sampling=sampling) as session,
    ):
        first = await session.submit(QUESTION)
        assert await first.text() == ""
        [call] = first.tool_calls
        assert session.messages[-1].tool_calls == (call,)
        second = await session.submit("And in ward 4?")
        await second.text()
        prompt_tokens = second.report.prompt_tokens
    said = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    messages = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": None, "tool_calls": [said]},
        {"role": "user", "content": "And in ward 4?"},
    ]
    completion = await sides.endpoint.complete_request({"messages": messages, "tools": TOOLS})
    assert prompt_tokens == len(completion["prompt_token_ids"])


async def test_the_results_of_tools_are_answered_without_a_draft(sides: Sides) -> None:
    sampling = Sampling(temperature=0, max_tokens=MOST, regex=SHAPES["two calls"])
    async with (
        AsyncClient.connect(sides.address) as client,
        client.session(tools=TOOLS, sampling=sampling) as session,
    ):
        first = await session.submit(QUESTION)
        await first.text()
        await session.type("And in ")
        results = [ChatMessage("tool", f"{call.name}: 7", tool_call_id=call.id) for call in first.tool_calls]
        second = await session.respond(results)
        await second.text()
        assert session.draft == "And in "
        assert [message.role for message in session.messages] == ["user", "assistant", "tool", "tool", "assistant"]
        third = await session.regenerate()
        await third.text()
        assert [call.arguments for call in third.tool_calls] == [call.arguments for call in second.tool_calls]
        assert len(session.messages) == 5
    called = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in first.tool_calls
    ]
    messages = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": None, "tool_calls": called},
        *({"role": "tool", "content": result.content, "tool_call_id": result.tool_call_id} for result in results),
    ]
    request = {"messages": messages, "tools": TOOLS, "max_tokens": MOST}
    completion = await sides.endpoint.complete_request(
        {**request, "structured_outputs": {"regex": SHAPES["two calls"]}}
    )
    assert second.report.prompt_tokens == third.report.prompt_tokens == len(completion["prompt_token_ids"])
    said = [(call.name, call.arguments) for call in second.tool_calls]
    assert said == calls_of(completion["choices"][0]["message"])


async def test_strict_tools_and_a_structure_bind_the_answer_as_at_the_endpoint(sides: Sides) -> None:
    schema = '{"type": "object", "properties": {"beds": {"type": "integer"}}, "required": ["beds"]}'
    strict = [{"type": "function", "function": {**tool["function"], "strict": True}} for tool in TOOLS]
    messages = [{"role": "user", "content": QUESTION}]
    request = {"messages": messages, "tools": strict, "max_tokens": MOST, "structured_outputs": {"json": schema}}
    [choice] = (await sides.endpoint.complete_request(request))["choices"]
    async with (
        AsyncClient.connect(sides.address) as client,
        client.session(tools=strict, sampling=Sampling(temperature=0, max_tokens=MOST, json_schema=schema)) as session,
    ):
        answer = await session.submit(QUESTION)
        text = await answer.text()
    assert text == (choice["message"]["content"] or "")
    assert [(call.name, call.arguments) for call in answer.tool_calls] == calls_of(choice["message"])
    assert text or answer.tool_calls
