"""Answers with thoughts come apart as vLLM's own chat endpoint splits them: embedded, begun before Enter, over HTTP.

The engine has Qwen3's parser of thoughts. DeepSeek's runs beside it on the same engine: it finds the end of thoughts by
the same token, but by code of another kind.
"""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from forefill_client import AsyncClient, GenerationSource, PregenerationMode
from forefill_client.messages import message_for_openai
from forefill_service.engine import Priority
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
from tests.support.thinking_cases import CALLS, MOST, SEA, SKY, Case, cases
from tests.support.thinking_model import thinking_model
from tests.support.vllm_endpoint import ChatEndpoint, Split, chat_endpoint, over_http

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:max_tokens is deprecated"),
]

SETTINGS = Settings(port=0, metrics_port=-1)
HELD_TOKENS = 3
HOLDING = Settings(port=0, metrics_port=-1, pregeneration_tokens=HELD_TOKENS)
PARSERS = {"qwen3": "qwen3_coder", "deepseek_r1": "hermes"}
"""Of thoughts, and of calls."""
DEEPSEEK = (
    "a thought and an answer",
    "a thought alone",
    "cut in the thought",
    "cut after the thought",
    "a stop text in the thought",
    "a stop text across the end of the thought",
    "no thinking",
    "a schema after the thought",
    "a thought, a word, then two calls",
    "two calls where one may be",
    "thoughts in the same turn",
    "a thought that goes on",
)
"""What DeepSeek's parser is tried on; Qwen3's is on all."""
BEGUN_AT_A_SERVER = (
    "a thought and an answer",
    "cut in the thought",
    "a stop text in the thought",
    "no thinking",
)
"""Those without a structure: while vLLM compiles one, it counts its request as waiting, and what may wait behind others
is not adopted before its first token."""
BEGUN = (*BEGUN_AT_A_SERVER, "a schema after the thought", "a call that has to be")
REMOTE = (
    "a thought and an answer",
    "cut in the thought",
    "a schema after the thought",
    "two calls where one may be",
    "no call",
    "a thought that goes on",
)


def tried(names: Iterable[str], parsers: Iterable[str] = PARSERS) -> pytest.MarkDecorator:
    """Parametrize a test by parsers and the names of cases."""
    pairs = [(parser, name) for parser in parsers for name in names if parser == "qwen3" or name in DEEPSEEK]
    return pytest.mark.parametrize(("parser", "name"), pairs)


EACH = pytest.mark.parametrize("parser", PARSERS)


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
    options: dict[str, Any] = {"reasoning_parser": "qwen3", "engine_args": {"dtype": "float32"}}
    async with started(model=str(thinking_model()), **options) as engine:
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def all_sides(thinking: EmbeddedEngine) -> AsyncIterator[dict[str, Sides]]:
    async with AsyncExitStack() as stack:
        yield {thoughts: await stack.enter_async_context(both_sides(thinking, thoughts)) for thoughts in PARSERS}


@pytest.fixture
def sides(all_sides: dict[str, Sides], parser: str) -> Sides:
    return all_sides[parser]


@asynccontextmanager
async def both_sides(thinking: EmbeddedEngine, thoughts: str) -> AsyncIterator[Sides]:
    calls = PARSERS[thoughts]
    engine = RecordingEngine(with_parsers(thinking, thoughts, calls))
    flags = ("--reasoning-parser", thoughts, "--enable-auto-tool-choice", "--tool-call-parser", calls)
    async with over_http(thinking, *flags) as url:
        [served] = await connect(Settings(engine="remote", engine_url=[url]))
        async with (
            chat_endpoint(thinking, *flags) as endpoint,
            running_server([engine], SETTINGS) as embedded,
            running_server([engine], HOLDING) as holds,
            running_server([served], SETTINGS) as remote,
        ):
            addresses = {"embedded": embedded.address, "holds": holds.address, "remote": remote.address}
            yield Sides(endpoint, engine, addresses, cases(CALLS[calls]))
        await served.close()


def with_parsers(engine: EmbeddedEngine, thoughts: str, calls: str) -> EmbeddedEngine:
    """Return the engine as if it had been started with these parsers."""
    vllm = engine.vllm
    config = copy.copy(vllm.vllm_config)
    config.structured_outputs_config = replace(config.structured_outputs_config, reasoning_parser=thoughts)
    chats: Any = SimpleNamespace(renderer=vllm.renderer, vllm_config=config)
    return EmbeddedEngine(
        StartedVllm(vllm, engine.info.model, LoadReader(), None),
        vllm_chat(vllm, None),
        VllmRendering(chats, None, calls),
    )


async def answered(sides: Sides, name: str, place: str, begun_until: str = "") -> Split:
    """Type the draft, and return the answer with its parts joined; it may be begun before Enter, until then."""
    mode = PregenerationMode.ON if begun_until else PregenerationMode.OFF
    case, told = sides.cases[name], asyncio.Event()
    sides.engine.forget()
    async with (
        AsyncClient.connect(sides.addresses[place]) as client,
        client.session(**case.session(), pregeneration=mode, on_pregeneration=lambda _: told.set()) as session,
    ):
        assert session.opened.splits_answers
        await session.type(case.draft)
        if begun_until:
            await session.hint()
            await told.wait()
        if begun_until and place != "remote":  # what is asked of a server is not recorded
            seen = sides.engine.arrived if begun_until == "it has arrived" else sides.engine.ended
            while (await seen.get()).priority is not Priority.PREGENERATION:
                pass
        answer = await session.submit()
        parts = [part async for part in answer.parts()]
    assert bool(begun_until) is (answer.report.source is GenerationSource.PREGENERATED)
    return Split(
        "".join(part.text for part in parts),
        "".join(part.reasoning for part in parts),
        tuple((call.name, call.arguments) for call in answer.tool_calls),
        answer.report.finish_reason.value,
        tuple(place.token.id for place in answer.logprobs),
        answer.report.prompt_tokens,
    )


@tried(cases(""))
async def test_an_answer_comes_apart_as_the_endpoint_splits_it(sides: Sides, name: str) -> None:
    assert await answered(sides, name, "embedded") == await sides.expect(name)


@tried(BEGUN)
async def test_an_answer_that_was_begun_before_enter_comes_apart_in_the_same_way(sides: Sides, name: str) -> None:
    assert await answered(sides, name, "embedded", "it has arrived") == await sides.expect(name)


@EACH
async def test_an_answer_that_was_held_in_its_thought_and_goes_on_comes_apart_in_the_same_way(sides: Sides) -> None:
    name = "a thought and an answer"
    assert await answered(sides, name, "holds", "it has ended") == await sides.expect(name)
    [rest] = sides.engine.generations
    assert rest.sampling.max_tokens == MOST - HELD_TOKENS


@tried(REMOTE)
async def test_an_answer_of_a_server_comes_apart_as_the_server_splits_it(sides: Sides, name: str) -> None:
    assert await answered(sides, name, "remote") == await sides.expect(name)


@tried(BEGUN_AT_A_SERVER)
async def test_an_answer_of_a_server_that_was_begun_before_enter_comes_apart_in_the_same_way(
    sides: Sides, name: str
) -> None:
    assert await answered(sides, name, "remote", "it has arrived") == await sides.expect(name)


@tried(["a thought and an answer", "a thought alone", "cut in the thought"])
async def test_a_whole_answer_of_the_endpoint_has_the_same_parts(sides: Sides, name: str) -> None:
    [choice] = (await sides.endpoint.complete_request(sides.cases[name].request()))["choices"]
    message, split = choice["message"], await sides.expect(name)
    assert (message["content"] or "", message["reasoning"] or "") == (split.text, split.reasoning)
    assert choice["token_ids"] == list(split.ids)


@EACH
async def test_the_cases_are_what_they_are_called(sides: Sides) -> None:
    for name, has in {
        "a thought and an answer": (True, True),
        "a thought alone": (True, False),
        "cut in the thought": (True, False),
    }.items():
        split = await sides.expect(name)
        assert (bool(split.reasoning), bool(split.text)) == has, name
    assert (await sides.expect("a schema after the thought")).text in ('"yes"', '"no"')
    assert len((await sides.expect("a thought, a word, then two calls")).calls) == 2
    assert len((await sides.expect("two calls where one may be")).calls) == 1


@EACH
@pytest.mark.parametrize("place", ["embedded", "remote"])
async def test_the_next_turn_is_what_the_endpoint_makes_of_the_last(sides: Sides, place: str) -> None:
    options = {**sides.cases["a thought and an answer"].session(), "pregeneration": PregenerationMode.OFF}
    async with (
        AsyncClient.connect(sides.addresses[place]) as client,
        client.session(**options) as session,
    ):
        first = await session.submit(SKY)
        await first.text()
        assert first.reasoning
        second = await session.submit(SEA)
        await second.text()
        asked = [message_for_openai(message) for message in session.messages[:-1]]
    expected = await sides.endpoint.streamed({"messages": asked, "max_tokens": MOST})
    assert first.reasoning not in json.dumps(asked), "thoughts are no part of the conversation"
    assert (second.text_so_far, second.reasoning) == (expected.text, expected.reasoning)
    assert tuple(place.token.id for place in second.logprobs) == expected.ids
    assert second.report.prompt_tokens == expected.prompt_tokens
