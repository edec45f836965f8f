"""Calls that have to be, or must not be, are those of vLLM's own chat endpoint: embedded, and over HTTP.

Hermes' parser has the model write calls in its own format; Pythonic's has none, so vLLM asks for JSON then. The tools
are strict: of others, Hermes' calls may have any arguments.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from forefill_client import (
    AsyncClient,
    ChatMessage,
    FinishReason,
    InvalidRequest,
    PregenerationMode,
    Sampling,
    ToolChoice,
)
from forefill_client.messages import message_for_openai
from forefill_service.engine.http import connect
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.engine.vllm.chat import vllm_chat
from forefill_service.engine.vllm.load import LoadReader
from forefill_service.engine.vllm.rendering import VllmRendering
from forefill_service.engine.vllm.start import StartedVllm
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.recording import RecordingEngine
from tests.support.template_habits import HABITS
from tests.support.vllm_endpoint import ChatEndpoint, chat_endpoint, over_http

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:max_tokens is deprecated"),
]

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"ward": {"enum": ["cardiology", "surgery"]}, "free": {"type": "boolean"}},
    "required": ["ward", "free"],
    "additionalProperties": False,
}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS, "strict": True}}
    for name in ("beds", "staff")
]
STAFF: dict[str, Any] = {"type": "function", "function": {"name": "staff"}}
CHOICES: dict[str, ToolChoice] = {"required": "required", "named": STAFF}
QUESTION = "How many beds are free in surgery?"
CALL = '<tool_call>\n{"name": "beds", "arguments": {"ward": "surgery"}}\n</tool_call>'
MOST = 64
SETTINGS = Settings(port=0, metrics_port=-1)


@dataclass(frozen=True, slots=True)
class Sides:
    """vLLM's endpoint with one parser of calls, and forefill on the same engine: in this process, and over HTTP."""

    endpoint: ChatEndpoint
    embedded: RecordingEngine
    addresses: dict[str, str]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "template.jinja"
    file.write_text(HABITS["tools_in_the_system_prompt"])
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["hermes", "pythonic"])
async def sides(
    embedded_engine: EmbeddedEngine, template: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Sides]:
    vllm, parser = embedded_engine.vllm, request.param
    started = StartedVllm(vllm, embedded_engine.info.model, LoadReader(), None)
    own = EmbeddedEngine(started, vllm_chat(vllm, template), VllmRendering(vllm, template, parser))
    recording = RecordingEngine(own)
    flags = ("--chat-template", str(template), "--enable-auto-tool-choice", "--tool-call-parser", parser)
    async with over_http(embedded_engine, *flags) as url:
        [served] = await connect(Settings(engine="remote", engine_url=[url], chat_template=template))
        async with (
            chat_endpoint(embedded_engine, *flags) as endpoint,
            running_server([recording], SETTINGS) as embedded,
            running_server([served], SETTINGS) as remote,
        ):
            yield Sides(endpoint, recording, {"embedded": embedded.address, "remote": remote.address})
        await served.close()


PLACES = pytest.mark.parametrize("place", ["embedded", "remote"])


@PLACES
@pytest.mark.parametrize("choice", CHOICES)
async def test_a_call_that_has_to_be_is_the_endpoints(sides: Sides, place: str, choice: str) -> None:
    request = {"messages": [{"role": "user", "content": QUESTION}], "tools": TOOLS, "max_tokens": MOST}
    completion = await sides.endpoint.complete_request({**request, "tool_choice": CHOICES[choice]})
    [expected] = completion["choices"]
    del sides.embedded.requests[:]
    sampling = Sampling(temperature=0, max_tokens=MOST, logprobs=0)
    async with (
        AsyncClient.connect(sides.addresses[place]) as client,
        client.session(
            tools=TOOLS, tool_choice=CHOICES[choice], sampling=sampling, pregeneration=PregenerationMode.OFF
        ) as session,
    ):
        assert session.opened.splits_answers
        await session.type(QUESTION)
        answer = await session.submit()
        text = await answer.text()
    assert [place.token.id for place in answer.logprobs] == expected["token_ids"]
    assert answer.report.prompt_tokens == len(completion["prompt_token_ids"])
    if place == "remote":
        assert answer.report.prompt_by_engine
    else:
        assert sides.embedded.generations[0].prompt_ids == completion["prompt_token_ids"]
    assert answer.report.finish_reason == FinishReason(expected["finish_reason"])
    assert answer.report.finish_reason is (FinishReason.STOP if choice == "named" else FinishReason.TOOL_CALLS)
    assert text.strip() == (expected["message"]["content"] or "").strip() == ""
    assert answer.tool_calls
    assert said([call.name for call in answer.tool_calls], [call.arguments for call in answer.tool_calls]) == [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in expected["message"]["tool_calls"]
    ]
    assert choice != "named" or [call.name for call in answer.tool_calls] == ["staff"]


def said(names: list[str], arguments: list[str]) -> list[tuple[str, Any]]:
    """A streamed call has the arguments as the model wrote them; the endpoint's whole answer reformats them."""
    return list(zip(names, map(json.loads, arguments), strict=True))


@PLACES
async def test_after_a_call_that_had_to_be_the_model_decides_in_the_same_session(sides: Sides, place: str) -> None:
    del sides.embedded.requests[:]
    sampling = Sampling(temperature=0, max_tokens=MOST, logprobs=0)
    async with (
        AsyncClient.connect(sides.addresses[place]) as client,
        client.session(
            tools=TOOLS, tool_choice="required", sampling=sampling, pregeneration=PregenerationMode.OFF
        ) as session,
    ):
        first = await session.submit(QUESTION)
        await first.text()
        assert first.report.finish_reason is FinishReason.TOOL_CALLS
        results = [ChatMessage("tool", "3", tool_call_id=call.id) for call in first.tool_calls]
        decided = await session.respond(results, tool_choice="auto")
        await decided.text()
        asked = [message_for_openai(message) for message in session.messages[:-1]]
        again = await session.respond([("user", QUESTION)])
        await again.text()
    assert again.tool_calls, "the session's own choice holds again"
    request = {"messages": asked, "tools": TOOLS, "tool_choice": "auto", "max_tokens": MOST}
    completion = await sides.endpoint.complete_request(request)
    [expected] = completion["choices"]
    assert [place.token.id for place in decided.logprobs] == expected["token_ids"]
    assert decided.report.prompt_tokens == len(completion["prompt_token_ids"])
    assert decided.report.finish_reason == FinishReason(expected["finish_reason"])
    assert len(decided.tool_calls) == len(expected["message"].get("tool_calls") or ())
    assert decided.text_so_far == (expected["message"]["content"] or "")
    if place == "embedded":
        assert sides.embedded.generations[1].prompt_ids == completion["prompt_token_ids"]


@pytest.mark.parametrize("choice", CHOICES)
async def test_a_call_that_has_to_be_is_begun_before_enter_and_is_the_same(sides: Sides, choice: str) -> None:
    async def calls(mode: PregenerationMode) -> tuple[list[tuple[str, Any]], bool]:
        async with (
            AsyncClient.connect(sides.addresses["embedded"]) as client,
            client.session(
                tools=TOOLS,
                tool_choice=CHOICES[choice],
                sampling=Sampling(temperature=0, max_tokens=MOST),
                pregeneration=mode,
            ) as session,
        ):
            await session.type(QUESTION)
            if mode is PregenerationMode.ON:
                await session.hint()
                while not sides.embedded.requests or sides.embedded.requests[-1].priority != 5:
                    await sides.embedded.arrived.get()
            answer = await session.submit()
            await answer.text()
            begun = bool(answer.report.ledger.pregenerations)
            return said([c.name for c in answer.tool_calls], [c.arguments for c in answer.tool_calls]), begun

    del sides.embedded.requests[:]
    plain, begun = await calls(PregenerationMode.OFF)
    assert not begun
    assert await calls(PregenerationMode.ON) == (plain, True)


@PLACES
async def test_a_call_that_must_not_be_is_text_as_at_the_endpoint(sides: Sides, place: str) -> None:
    request = {"messages": [{"role": "user", "content": QUESTION}], "tools": TOOLS, "max_tokens": MOST}
    completion = await sides.endpoint.complete_request(
        {**request, "tool_choice": "none", "structured_outputs": {"choice": [CALL]}}
    )
    async with (
        AsyncClient.connect(sides.addresses[place]) as client,
        client.session(
            tools=TOOLS, tool_choice="none", sampling=Sampling(temperature=0, max_tokens=MOST, choice=CALL)
        ) as session,
    ):
        answer = await session.submit(QUESTION)
        text = await answer.text()
    assert text == completion["choices"][0]["message"]["content"] == CALL
    assert answer.tool_calls == ()
    assert answer.report.prompt_tokens == len(completion["prompt_token_ids"])


WRONG: dict[str, Any] = {"properties": {"a": {"type": "objekt"}}}
BROKEN = [{"type": "function", "function": {"name": "staff", "parameters": WRONG, "strict": True}}]


@PLACES
@pytest.mark.parametrize("choice", CHOICES)
async def test_parameters_that_vllm_makes_no_structure_of_are_refused_when_the_session_opens(
    sides: Sides, place: str, choice: str
) -> None:
    async with AsyncClient.connect(sides.addresses[place]) as client:
        with pytest.raises(InvalidRequest, match="tool_choice") as refused:
            async with client.session(tools=BROKEN, tool_choice=CHOICES[choice]):
                pass
        assert refused.value.reason == "INVALID_TOOLS"


@PLACES
@pytest.mark.parametrize("choice", CHOICES)
async def test_an_engine_without_a_parser_of_calls_refuses_the_session(
    embedded_engine: EmbeddedEngine, place: str, choice: str
) -> None:
    async with over_http(embedded_engine) as url:
        [served] = await connect(Settings(engine="remote", engine_url=[url]))
        engine = embedded_engine if place == "embedded" else served
        async with running_server([engine], SETTINGS) as server, AsyncClient.connect(server.address) as client:
            with pytest.raises(InvalidRequest, match="tool_choice") as refused:
                async with client.session(tools=TOOLS, tool_choice=CHOICES[choice]):
                    pass
            assert refused.value.reason == "INVALID_TOOLS"
        await served.close()
