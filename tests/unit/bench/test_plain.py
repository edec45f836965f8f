"""Plain generations, through forefill and from vLLM's own endpoint."""

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from forefill_bench.live.clock import Clock
from forefill_bench.live.plain import EndpointError, ForefillPlainClient, OpenAIClient, openai_client
from forefill_client import AsyncClient
from forefill_service.engine import FakeEngine
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.certificates import Certificates
from tests.support.openai_endpoint import chat_events, openai_endpoint

TALK = [("system", "You write SQL for a clinic. " * 8)]
CLOCK = Clock()


async def test_both_clients_report_the_same_things() -> None:
    async with (
        running_server([FakeEngine(answer_tokens=2)], Settings(port=0, metrics_port=-1)) as server,
        AsyncClient.connect(server.address, resume=None) as client,
        openai_endpoint() as endpoint,
        openai_client(endpoint.url, None, CLOCK) as direct,
    ):
        for plain in (ForefillPlainClient(client, CLOCK), direct):
            reply = await plain.ask(TALK, "Show me all", 2)
            assert len(reply.pieces_at) == 2
            assert len(reply.gaps_ms) == 1
            assert reply.asked_at <= reply.first_token_at <= reply.ended_at
            assert (reply.completion_tokens, reply.prompt_tokens > 0, bool(reply.text)) == (2, True, True)


async def test_through_forefill_nothing_is_warmed_and_a_second_ask_finds_the_first_ones_blocks() -> None:
    engine = FakeEngine()
    async with (
        running_server([engine], Settings(port=0, metrics_port=-1)) as server,
        AsyncClient.connect(server.address, resume=None) as client,
    ):
        asked_before = len(engine.requests)
        first, second = [await ForefillPlainClient(client, CLOCK).ask(TALK, "Show me all", 4) for _ in range(2)]
    assert len(engine.requests) == asked_before + 2
    assert (first.cached_tokens, first.source) == (0, "cold")
    assert second.cached_tokens > 32
    assert second.source == "warm"


async def test_over_http_the_whole_talk_is_asked_greedily_and_streamed() -> None:
    async with openai_endpoint() as endpoint, openai_client(f"{endpoint.url}/v1/", "named", CLOCK) as plain:
        reply = await plain.ask(TALK, "Show me all", 7)
    (body,) = endpoint.asked
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["model"], body["temperature"], body["max_tokens"], body["stream"]) == ("named", 0, 7, True)
    assert (reply.text, reply.prompt_tokens, reply.cached_tokens, reply.source) == ("SELECT 1", 40, 32, "warm")


async def test_the_model_is_the_first_that_the_endpoint_serves() -> None:
    async with openai_endpoint() as endpoint, openai_client(endpoint.url, None, CLOCK) as plain:
        assert plain.model == "canned"


class CountingClock(Clock):
    """Tells 0, 1, 2 ...: a second for each look at it."""

    def __init__(self) -> None:
        self._looks = -1

    def now(self) -> float:
        self._looks += 1
        return self._looks


class ScriptedEndpoint:
    """Answers with one line for each event, without a wire."""

    async def lines(self, *_: Any) -> AsyncIterator[bytes]:
        first, *_rest, usage = chat_events()
        for event in (first, delta("SELECT"), delta(" 1", "length"), usage):
            yield f"data: {json.dumps(event)}".encode()
        yield b"data: [DONE]"


def delta(text: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish_reason}]}


async def test_the_times_of_an_answer_over_http_are_those_of_its_events() -> None:
    endpoint: Any = ScriptedEndpoint()
    plain = OpenAIClient(endpoint, "m", CountingClock())
    reply = await plain.ask(TALK, "Show me all", 2)
    assert (reply.asked_at, reply.first_token_at) == (0, 1), "the first event comes with the first token"
    assert reply.pieces_at == (2, 3), "the last piece came before the usage, though it is given out with it"
    assert (reply.ended_at, reply.text, reply.cached_tokens) == (5, "SELECT 1", 32)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": 503}, "no room"),
        ({"events": [{"error": {"message": "no"}}]}, "failed with HTTP status 500"),
        ({"events": chat_events()[:2]}, "before it was complete"),
    ],
)
async def test_what_is_no_whole_answer_is_an_error(change: dict[str, Any], complaint: str) -> None:
    async with openai_endpoint() as endpoint, openai_client(endpoint.url, "m", CLOCK) as plain:
        for name, value in change.items():
            setattr(endpoint, name, value)
        with pytest.raises(EndpointError, match=complaint):
            await plain.ask(TALK, "Show me all", 7)


async def test_where_nothing_listens_the_flag_is_named() -> None:
    with pytest.raises(EndpointError, match="check --direct"):
        async with openai_client("http://127.0.0.1:1", None, CLOCK):
            raise AssertionError("not reached")


async def test_a_key_and_an_authority_of_its_own_let_it_in_by_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates.new(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificates.cert, certificates.key)
    async with openai_endpoint(key="secret", tls=tls) as endpoint:
        with pytest.raises(EndpointError, match=f"the certificate of {endpoint.url} is not trusted.*set SSL_CERT_FILE"):
            async with openai_client(endpoint.url, None, CLOCK, api_key="secret"):
                raise AssertionError("not reached")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.client_ca))
        async with openai_client(endpoint.url, None, CLOCK, api_key="secret") as plain:
            assert (await plain.ask(TALK, "Show me all", 2)).text == "SELECT 1"


@pytest.mark.parametrize("model", [None, "named"])
@pytest.mark.parametrize("key", ["", "another"])
async def test_a_refused_key_is_one_line_that_says_where_it_is_given(model: str | None, key: str) -> None:
    async with openai_endpoint(key="secret") as endpoint:
        with pytest.raises(EndpointError) as caught:
            async with openai_client(endpoint.url, model, CLOCK, api_key=key) as plain:
                await plain.ask(TALK, "Show me all", 2)
    assert str(caught.value) == f"{endpoint.url} refused the API key; set VLLM_API_KEY"
