"""Structures and logprobs on real vLLM: as its own chat endpoint gives them, embedded and over HTTP."""

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine.http import RemoteEngine, connect
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.vllm_endpoint import ChatEndpoint, chat_endpoint, over_http
from tests.support.wire import Wire, typing_at

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:max_tokens is deprecated"),
]

ASKED = "Which colour has the sky, and how many suns are there?"
MOST = 48
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "suns": {"type": "integer", "minimum": 0, "maximum": 9},
        "colour": {"enum": ["blue", "red", "grün"]},
        "sure": {"type": "boolean"},
    },
    "required": ["suns", "colour", "sure"],
    "additionalProperties": False,
}
EBNF = 'root ::= "The sky is " colour "."\ncolour ::= "blue" | "red" | "black"'
LARK = 'start: "The sky is " COLOUR "."\nCOLOUR: "blue" | "red" | "black"'
Keeps = Callable[[str], bool]


def is_object(text: str) -> bool:
    return list(json.loads(text)) == ["suns", "colour", "sure"]


STRUCTURES: dict[str, tuple[dict[str, Any], dict[str, Any], Keeps]] = {
    "a schema as response_format": (
        {"json_schema": json.dumps(SCHEMA)},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "sky", "schema": SCHEMA}}},
        is_object,
    ),
    "a schema as structured_outputs": (
        {"json_schema": json.dumps(SCHEMA, indent=2)},
        {"structured_outputs": {"json": SCHEMA}},
        is_object,
    ),
    "any JSON object": (
        {"json_object": True},
        {"response_format": {"type": "json_object"}},
        lambda text: text.lstrip().startswith("{"),
    ),
    "a regular expression": (
        {"regex": r"[A-Z][a-z]{3,8} and [0-9]{2}\."},
        {"structured_outputs": {"regex": r"[A-Z][a-z]{3,8} and [0-9]{2}\."}},
        lambda text: bool(re.fullmatch(r"[A-Z][a-z]{3,8} and [0-9]{2}\.", text)),
    ),
    "a choice": (
        {"choice": pb.Choice(texts=["red as a rose", "blue as the sea", "schwarz wie die Nacht, 黒い"])},
        {"structured_outputs": {"choice": ["red as a rose", "blue as the sea", "schwarz wie die Nacht, 黒い"]}},
        lambda text: text in ("red as a rose", "blue as the sea", "schwarz wie die Nacht, 黒い"),
    ),
    "a grammar in EBNF": (
        {"grammar": EBNF},
        {"structured_outputs": {"grammar": EBNF}},
        lambda text: bool(re.fullmatch(r"The sky is (blue|red|black)\.", text)),
    ),
    "a grammar in Lark": (
        {"grammar": LARK},
        {"structured_outputs": {"grammar": LARK}},
        lambda text: bool(re.fullmatch(r"The sky is (blue|red|black)\.", text)),
    ),
}


@dataclass(frozen=True, slots=True)
class Sides:
    """vLLM's endpoint, and forefill on the same engine: in this process, and over HTTP."""

    endpoint: ChatEndpoint
    addresses: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(embedded_engine: EmbeddedEngine) -> AsyncIterator[RemoteEngine]:
    async with over_http(embedded_engine) as url:
        [engine] = await connect(Settings(engine="remote", engine_url=[url]))
        try:
            yield engine
        finally:
            await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sides(embedded_engine: EmbeddedEngine, served: RemoteEngine) -> AsyncIterator[Sides]:
    settings = Settings(port=0, metrics_port=-1)
    async with (
        chat_endpoint(embedded_engine) as endpoint,
        running_server([embedded_engine], settings) as embedded,
        running_server([served], settings) as remote,
    ):
        yield Sides(endpoint, {"embedded": embedded.address, "remote": remote.address})


PLACES = pytest.mark.parametrize("place", ["embedded", "remote"])


@PLACES
@pytest.mark.parametrize("name", STRUCTURES)
async def test_an_answer_with_a_structure_is_the_endpoints(sides: Sides, place: str, name: str) -> None:
    ours, theirs, keeps = STRUCTURES[name]
    completion = await sides.endpoint.complete([("user", ASKED)], max_tokens=MOST, **theirs)
    sampling = pb.Sampling(temperature=0, max_tokens=MOST, **ours)
    async with typing_at(sides.addresses[place], sampling=sampling) as typist:
        await typist.type(ASKED)
        await typist.flush()
        answer = await typist.submit()
    assert keeps(answer.text)
    assert answer.text == completion["choices"][0]["message"]["content"]
    assert answer.finished.usage.completion_tokens == completion["usage"]["completion_tokens"]


@PLACES
async def test_an_answer_that_is_too_short_for_its_structure_is_the_beginning_of_it(sides: Sides, place: str) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=4, json_schema=json.dumps(SCHEMA))
    async with typing_at(sides.addresses[place], sampling=sampling) as typist:
        answer = await typist.submit(ASKED)
    assert answer.finished.reason == pb.FINISH_REASON_LENGTH
    assert answer.text.startswith("{")


@PLACES
async def test_each_turn_of_a_session_has_the_structure_from_its_beginning(sides: Sides, place: str) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=MOST, json_schema=json.dumps(SCHEMA))
    async with typing_at(sides.addresses[place], sampling=sampling) as typist:
        assert is_object((await typist.submit(ASKED)).text)
        assert is_object((await typist.submit("And on Tatooine?")).text)


REFUSED: dict[str, dict[str, Any]] = {
    "a type that there is not": {"json_schema": '{"type": "object", "properties": {"a": {"type": "objekt"}}}'},
    "a schema that is nested too deeply": {"json_schema": '{"items":' * 70 + "{}" + "}" * 70},
    "a bracket without its other": {"regex": "(a"},
    "a grammar without a root": {"grammar": "colour ::= "},
    "a rule that there is not": {"grammar": "root ::= nothing"},
    "a token that there is not": {"stop_token_ids": [49152]},
    "a bias on a token that there is not": {"logit_bias": {49152: 1.0}},
    "only a token that there is not": {"allowed_token_ids": [10**6]},
}


@PLACES
@pytest.mark.parametrize("name", REFUSED)
async def test_what_vllm_refuses_is_refused_when_the_session_opens(sides: Sides, place: str, name: str) -> None:
    wire = Wire(sides.addresses[place])
    await wire.write(pb.ComposeRequest(open=pb.Open(sampling=pb.Sampling(**REFUSED[name]))))
    assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SAMPLING")
    await wire.channel.close()
    async with typing_at(sides.addresses[place]) as typist:
        assert (await typist.submit("Are you still there?")).finished.usage.completion_tokens


@PLACES
@pytest.mark.parametrize("likeliest", [0, 1, 3, 20])
async def test_logprobs_are_the_endpoints(sides: Sides, place: str, likeliest: int) -> None:
    text = "Say 'naïve 🎉 日本' and stop."
    completion = await sides.endpoint.complete([("user", text)], max_tokens=24, logprobs=True, top_logprobs=likeliest)
    content = completion["choices"][0]["logprobs"]["content"]
    sampling = pb.Sampling(temperature=0, max_tokens=24, logprobs=likeliest)
    async with typing_at(sides.addresses[place], sampling=sampling) as typist:
        answer = await typist.submit(text)
    assert answer.text == completion["choices"][0]["message"]["content"]
    assert len(answer.logprobs) == answer.finished.usage.completion_tokens
    assert [place.token.id for place in answer.logprobs] == completion["choices"][0]["token_ids"]
    for ours, theirs in zip(answer.logprobs, content, strict=True):
        assert ours.token.logprob == pytest.approx(theirs["logprob"], abs=1e-3)
        assert [one.logprob for one in ours.likeliest] == pytest.approx(
            [one["logprob"] for one in theirs["top_logprobs"]], abs=1e-3
        )
        if "\ufffd" not in ours.token.text and theirs["token"]:
            assert ours.token.text == theirs["token"]


@PLACES
async def test_logprobs_come_beside_a_structure_and_a_stop_text(sides: Sides, place: str) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=MOST, logprobs=2, json_schema=json.dumps(SCHEMA), stop=["colour"])
    async with typing_at(sides.addresses[place], sampling=sampling) as typist:
        answer = await typist.submit(ASKED)
    assert "colour" not in answer.text
    assert answer.text.startswith("{")
    assert len(answer.logprobs) == answer.finished.usage.completion_tokens > 3
    assert all(place.token.logprob <= 0 and len(place.likeliest) == 2 for place in answer.logprobs)


async def test_the_size_of_the_vocabulary_is_the_models_on_either_way(
    embedded_engine: EmbeddedEngine, served: RemoteEngine
) -> None:
    assert embedded_engine.info.vocabulary == served.info.vocabulary == 49152
