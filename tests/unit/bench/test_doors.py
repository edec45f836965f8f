"""Plain generations, through forefill and by vLLM's own endpoint."""

from typing import Any

import pytest
from forefill_bench.live.doors import EndpointError, ForefillDoor, http_door
from forefill_client import AsyncClient
from forefill_service.engine import FakeEngine
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.openai_endpoint import chat_events, openai_endpoint

TALK = [("system", "You write SQL for a clinic. " * 8)]


async def test_both_doors_tell_the_same_things() -> None:
    async with (
        running_server([FakeEngine(answer_tokens=2)], Settings(port=0, metrics_port=-1)) as server,
        AsyncClient.connect(server.address) as client,
        openai_endpoint() as endpoint,
        http_door(endpoint.url, None) as direct,
    ):
        for door in (ForefillDoor(client), direct):
            reply = await door.ask(TALK, "Show me all", 2)
            assert len(reply.pieces_at) == 2
            assert len(reply.gaps_ms) == 1
            assert reply.asked_at <= reply.first_token_at <= reply.ended_at
            assert (reply.completion_tokens, reply.prompt_tokens > 0, bool(reply.text)) == (2, True, True)


async def test_through_forefill_nothing_is_warmed_and_a_second_ask_finds_the_first_ones_blocks() -> None:
    engine = FakeEngine()
    async with (
        running_server([engine], Settings(port=0, metrics_port=-1)) as server,
        AsyncClient.connect(server.address) as client,
    ):
        asked_before = len(engine.requests)
        first, second = [await ForefillDoor(client).ask(TALK, "Show me all", 4) for _ in range(2)]
    assert len(engine.requests) == asked_before + 2
    assert (first.cached_tokens, first.source) == (0, "cold")
    assert second.cached_tokens > 32
    assert second.source == "warm"


async def test_over_http_the_whole_talk_is_asked_greedily_and_streamed() -> None:
    async with openai_endpoint() as endpoint, http_door(f"{endpoint.url}/v1/", "named") as door:
        reply = await door.ask(TALK, "Show me all", 7)
    (body,) = endpoint.asked
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["model"], body["temperature"], body["max_tokens"], body["stream"]) == ("named", 0, 7, True)
    assert (reply.text, reply.prompt_tokens, reply.cached_tokens, reply.source) == ("SELECT 1", 40, 32, "warm")


async def test_the_model_is_the_first_that_the_endpoint_serves() -> None:
    async with openai_endpoint() as endpoint, http_door(endpoint.url, None) as door:
        assert door.model == "canned"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": 503}, "answered 503"),
        ({"events": [{"error": {"message": "no"}}]}, "failed: {'message': 'no'}"),
        ({"events": chat_events()[:2]}, "before it was complete"),
    ],
)
async def test_what_is_no_whole_answer_is_an_error(change: dict[str, Any], complaint: str) -> None:
    async with openai_endpoint() as endpoint, http_door(endpoint.url, "m") as door:
        for name, value in change.items():
            setattr(endpoint, name, value)
        with pytest.raises(EndpointError, match=complaint):
            await door.ask(TALK, "Show me all", 7)


async def test_where_nothing_listens_the_flag_is_named() -> None:
    with pytest.raises(EndpointError, match="check --direct"):
        async with http_door("http://127.0.0.1:1", None):
            raise AssertionError("not reached")
