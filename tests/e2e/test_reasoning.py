"""Answers with thoughts come apart as vLLM's own chat endpoint splits them: embedded, begun before Enter, over HTTP.

The engine has Qwen3's parser of thoughts. DeepSeek's runs beside it on the same engine: it finds the end of thoughts by
the same token.
"""

import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from forefill_client import Answer, AsyncClient, PregenerationMode
from forefill_service.engine.http import connect
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.engine.vllm.chat import vllm_chat
from forefill_service.engine.vllm.load import LoadReader
from forefill_service.engine.vllm.rendering import VllmRendering
from forefill_service.engine.vllm.start import StartedVllm
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.embedded import started
from tests.support.recording import RecordingEngine
from tests.support.thinking_cases import CALLS, SKY, Case, cases
from tests.support.thinking_model import thinking_model
from tests.support.vllm_endpoint import ChatEndpoint, Split, chat_endpoint, over_http

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:max_tokens is deprecated"),
]

SETTINGS = Settings(port=0, metrics_port=-1)
PARSERS = {"deepseek_r1": "hermes", "qwen3": "qwen3_coder"}
"""Of thoughts, and of calls."""
PLACES = pytest.mark.parametrize("place", ["embedded", "begun before Enter", "remote"])
CASES = pytest.mark.parametrize("name", cases(""))


@dataclass(frozen=True, slots=True)
class Sides:
    """vLLM's endpoint with two parsers, and forefill on the same engine: in this process, and over HTTP."""

    endpoint: ChatEndpoint
    engine: RecordingEngine
    addresses: dict[str, str]
    cases: dict[str, Case]
    expected: dict[str, Split] = field(default_factory=dict)

    async def expect(self, name: str) -> Split:
        """Return what the endpoint streams; it is asked once."""
        if name not in self.expected:
            self.expected[name] = await self.endpoint.streamed(self.cases[name].request())
        return self.expected[name]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def thinking() -> AsyncIterator[EmbeddedEngine]:
    async with started(
        model=str(thinking_model()), reasoning_parser="qwen3", engine_args={"dtype": "float32"}
    ) as engine:
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=PARSERS)
async def sides(thinking: EmbeddedEngine, request: pytest.FixtureRequest) -> AsyncIterator[Sides]:
    thoughts, calls = request.param, PARSERS[request.param]
    vllm = thinking.vllm
    engine = RecordingEngine(
        EmbeddedEngine(
            StartedVllm(vllm, thinking.info.model, LoadReader(), None),
            vllm_chat(vllm, None),
            VllmRendering(with_parser(vllm, thoughts), None, calls),
        )
    )
    flags = ("--reasoning-parser", thoughts, "--enable-auto-tool-choice", "--tool-call-parser", calls)
    async with over_http(thinking, *flags) as url:
        [served] = await connect(Settings(engine="remote", engine_url=[url]))
        async with (
            chat_endpoint(thinking, *flags) as endpoint,
            running_server([engine], SETTINGS) as embedded,
            running_server([served], SETTINGS) as remote,
        ):
            yield Sides(endpoint, engine, {"embedded": embedded.address, "remote": remote.address}, cases(CALLS[calls]))
        await served.close()


def with_parser(vllm: Any, name: str) -> Any:
    """Return an engine, as far as chats are concerned, that was started with another parser of thoughts."""
    config = copy.copy(vllm.vllm_config)
    config.structured_outputs_config = replace(config.structured_outputs_config, reasoning_parser=name)
    return SimpleNamespace(renderer=vllm.renderer, vllm_config=config)


async def answered(sides: Sides, name: str, place: str) -> tuple[Split, Answer]:
    """Type the draft, and return the answer with its parts joined."""
    begun = place == "begun before Enter"
    address = sides.addresses["embedded" if begun else place]
    mode = PregenerationMode.ON if begun else PregenerationMode.OFF
    case = sides.cases[name]
    del sides.engine.requests[:]
    async with (
        AsyncClient.connect(address) as client,
        client.session(**case.session(), pregeneration=mode) as session,
    ):
        assert session.opened.splits_answers
        await session.type(case.draft)
        if begun:
            await session.hint()
            while not sides.engine.requests or sides.engine.requests[-1].priority != 5:
                await sides.engine.arrived.get()
        answer = await session.submit()
        parts = [part async for part in answer.parts()]
        assert begun is bool(answer.report.ledger.pregenerations)
    return (
        Split(
            "".join(part.text for part in parts),
            "".join(part.reasoning for part in parts),
            tuple((call.name, call.arguments) for call in answer.tool_calls),
            answer.report.finish_reason.value,
            tuple(place.token.id for place in answer.logprobs),
            answer.report.prompt_tokens,
        ),
        answer,
    )


@PLACES
@CASES
async def test_an_answer_comes_apart_as_the_endpoint_splits_it(sides: Sides, name: str, place: str) -> None:
    expected = await sides.expect(name)
    split, _ = await answered(sides, name, place)
    print(name, place, split)
    assert split == expected
