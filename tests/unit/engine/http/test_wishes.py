"""What a server is asked when a session opens: whether it has the adapter, and whether it takes the sampling."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling, Structure, TokenLogprob, TokenLogprobs
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import ChatRequest, Priority
from forefill_service.errors import EngineError, EngineRefused, Reason, Refusal

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.remote_engine import remote_engine
from tests.support.remote_requests import answer, request

SCHEMA = Sampling(structure=Structure("json", '{"type": "object"}'))


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with fake_vllm(answer_tokens=6, adapters={"sql": "/models/sql-1"}) as server:
        yield server


def asked_since(server: FakeVllm, before: int) -> list[dict[str, Any]]:
    return server.bodies[before:]


async def test_of_a_sampling_that_any_engine_takes_the_server_is_not_asked(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        before = len(server.bodies)
        assert await engine.check(Sampling(temperature=0.5, stop=("a",), min_tokens=3), "") == ""
        assert asked_since(server, before) == []


async def test_a_structure_is_tried_with_one_token_once_the_server_is_known_to_know_it(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        before = len(server.bodies)
        await engine.check(SCHEMA, "")
        empty, tried = asked_since(server, before)
        assert empty["structured_outputs"] == {}
        assert tried["structured_outputs"] == {"json": '{"type": "object"}'}
        assert (empty["max_tokens"], tried["max_tokens"]) == (1, 1)
        await engine.check(replace(SCHEMA, seed=7, max_tokens=9), "")
        assert len(asked_since(server, before)) == 2, "what it has taken once is not asked again"
        await engine.check(Sampling(structure=Structure("regex", "a")), "")
        assert len(asked_since(server, before)) == 3


async def test_a_server_that_has_started_again_is_asked_again(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        await engine.check(SCHEMA, "")
        before = len(server.bodies)
        engine.monitor.restarted.set()
        async with aclosing(engine.cache_changes()) as changes:
            await anext(changes)
        await engine.check(SCHEMA, "")
        assert len(asked_since(server, before)) == 2


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_server_that_refuses_everything_says_nothing_of_structures(server: FakeVllm, status: int) -> None:
    server.ignores = {"structured_outputs"}
    async with remote_engine(server) as engine:
        server.faults.status = status
        with pytest.raises(EngineError):
            await engine.check(SCHEMA, "")
        server.faults.status = None
        with pytest.raises(Refusal, match="does not know structured outputs"):
            await engine.check(SCHEMA, "")


@pytest.mark.parametrize("sampling", [SCHEMA, Sampling(logprobs=20)])
async def test_what_the_server_refuses_is_refused_in_words_of_ours(server: FakeVllm, sampling: Sampling) -> None:
    server.refuses = "The JSON schema zyzzyva contains features not supported by xgrammar."
    async with remote_engine(server) as engine:
        with pytest.raises(Refusal) as refusal:
            await engine.check(sampling, "")
    assert refusal.value.reason is Reason.INVALID_SAMPLING
    assert refusal.value.detail == "the engine cannot use the JSON Schema (HTTP status 400)"


async def test_a_server_that_would_ignore_a_structure_in_silence_is_found_out(server: FakeVllm) -> None:
    server.ignores = {"structured_outputs"}
    async with remote_engine(server) as engine:
        with pytest.raises(Refusal, match="does not know structured outputs") as refusal:
            await engine.check(SCHEMA, "")
        assert refusal.value.reason is Reason.INVALID_SAMPLING
        await engine.check(Sampling(logprobs=1), "")


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_fails_or_has_no_room_says_nothing_of_the_sampling(server: FakeVllm, status: int) -> None:
    async with remote_engine(server) as engine:
        server.faults.status = status
        with pytest.raises(EngineError):
            await engine.check(Sampling(logprobs=1), "")
        with pytest.raises(EngineError):
            await engine.check(SCHEMA, "")


async def test_a_server_that_hangs_is_not_waited_for(server: FakeVllm) -> None:
    async with remote_engine(server, probe_timeout_seconds=0.2) as engine:
        server.faults.flowing.clear()
        with pytest.raises(EngineError, match="did not answer within"):
            await engine.check(Sampling(logprobs=1), "")


async def test_the_version_of_an_adapter_is_its_path_on_the_server(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        assert await engine.check(Sampling(), "sql") == "/models/sql-1"
        server.engine.adapters["sql"] = "/models/sql-2"
        assert await engine.check(Sampling(), "sql") == "/models/sql-2"


@pytest.mark.parametrize("adapter", ["poems", "fake"])
async def test_an_adapter_that_is_not_listed_is_refused_and_so_is_the_model_itself(
    server: FakeVllm, adapter: str
) -> None:
    async with remote_engine(server) as engine:
        with pytest.raises(Refusal) as refusal:
            await engine.check(Sampling(), adapter)
    assert refusal.value.reason is Reason.ADAPTER_NOT_FOUND
    assert "sql" not in str(refusal.value), "which it has is not for every client"


async def test_the_sampling_is_tried_on_the_adapter(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        before = len(server.bodies)
        await engine.check(Sampling(logprobs=1), "sql")
        [tried] = asked_since(server, before)
        assert tried["model"] == "sql"


async def test_an_adapter_that_has_gone_fails_the_request_and_not_the_server(server: FakeVllm) -> None:
    server.lacks = {"gone"}
    async with remote_engine(server) as engine:
        with pytest.raises(EngineRefused, match="does not have this model or adapter"):
            await answer(engine, request(adapter="gone"))
        assert engine.up
        assert await answer(engine, request())


async def test_an_adapter_answers_over_http_as_it_does_itself(server: FakeVllm) -> None:
    async def text(engine: Any, adapter: str) -> str:
        return "".join(output.text for output in await answer(engine, request(adapter=adapter)))

    async with remote_engine(server) as engine:
        assert await text(engine, "sql") == await text(server.engine, "sql") != await text(engine, "")


@pytest.mark.parametrize("by_chat", [False, True])
async def test_logprobs_come_with_the_tokens_that_they_are_of(server: FakeVllm, by_chat: bool) -> None:
    conversation = Conversation((ChatMessage("user", "Hi"),), {})
    sampling = Sampling(logprobs=2)
    async with remote_engine(server) as engine:
        if by_chat:
            chat = ChatRequest(conversation, sampling, Priority.GENERATION)
            outputs = [output async for output in engine.chat_endpoint.generate(chat)]
        else:
            outputs = await answer(engine, request(sampling=sampling))
    places = [place for output in outputs for place in output.logprobs]
    assert len(places) == 6
    assert [place.token.id for place in places] == [token for output in outputs for token in output.token_ids]
    assert [len(place.likeliest) for place in places] == [2] * 6
    first = places[0]
    assert first == TokenLogprobs(
        TokenLogprob(first.token.id, "?", first.token.logprob),
        (first.token, TokenLogprob(first.token.id + 1, "?", 2 * first.token.logprob)),
    )
