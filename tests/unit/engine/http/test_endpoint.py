"""Servers that send what no server should: every wait and every length has a limit, every failure is an EngineError."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from forefill_service.chat.generation import Output
from forefill_service.engine.http import endpoint as endpoint_module
from forefill_service.engine.http.answers import Bounds
from forefill_service.engine.http.endpoint import Endpoint, completed
from forefill_service.engine.http.patience import Patience
from forefill_service.errors import (
    EngineBusy,
    EngineError,
    EngineNonsense,
    EngineRefused,
    EngineSlow,
    EngineUnavailable,
)

from tests.support.openai_endpoint import openai_endpoint

WAIT_SECONDS = 20
SOON_SECONDS = 0.2
"""A limit that is to be reached."""
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@dataclass
class Speaker:
    """A server that sends what it likes to whoever asks; `head` is what it was asked last, `sent` counts bytes."""

    url: str = ""
    head: str = ""
    sent: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()
        self.sent += len(data)


Speak = Callable[[Speaker, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def speaker(speak: Speak) -> AsyncIterator[Speaker]:
    said = Speaker()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.head = (await reader.readuntil(b"\r\n\r\n")).decode()
        with suppress(ConnectionError):
            await speak(said, writer)
        said.gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        said.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield said


def sending(*data: bytes, then: bytes = b"") -> Speak:
    """Send these, and if there is something to send `then`, that for ever."""

    async def speak(said: Speaker, writer: asyncio.StreamWriter) -> None:
        for piece in data:
            await said.send(writer, piece)
        while then:
            await said.send(writer, then)

    return speak


def dripping(*data: bytes, drop: bytes) -> Speak:
    """Send these, then one drop after the other."""

    async def speak(said: Speaker, writer: asyncio.StreamWriter) -> None:
        for piece in data:
            await said.send(writer, piece)
        while True:
            await said.send(writer, drop)
            await asyncio.sleep(SOON_SECONDS / 20)

    return speak


def event(text: str, finish_reason: str | None = None) -> bytes:
    choice = {"text": text, "token_ids": [5], "finish_reason": finish_reason}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


@asynccontextmanager
async def asking(said: Speaker) -> AsyncIterator[Endpoint]:
    endpoint = Endpoint(said.url)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            yield endpoint
    finally:
        await endpoint.close()


async def read_into(
    came: list[Output], endpoint: Endpoint, first_seconds: float = WAIT_SECONDS, between_seconds: float = WAIT_SECONDS
) -> None:
    limits = first_seconds, between_seconds
    async for output in completed(endpoint, "/v1/completions", {}, {}, *limits, bounds=Bounds(context_tokens=1000)):
        came.append(output)


# --- lengths


async def test_a_line_without_an_end_is_not_collected_for_ever() -> None:
    async with speaker(sending(STREAM, b"data: ", then=b"x" * 2**16)) as said, asking(said) as endpoint:
        with pytest.raises(EngineNonsense, match="a line of more than"):
            await read_into([], endpoint)
        await said.gone.wait()
    assert said.sent < 2**23, "the connection was closed soon after the limit"


async def test_of_an_error_only_the_beginning_is_read() -> None:
    head = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    async with speaker(sending(head, b"maximum context length ", then=b"x" * 2**16)) as said, asking(said) as endpoint:
        with pytest.raises(EngineRefused, match="longer than the model's context"):
            await endpoint.text("/tokenize", WAIT_SECONDS, {})
        await said.gone.wait()
    assert said.sent < 2**23


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/tokenize"])
async def test_an_answer_that_does_not_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(endpoint_module, "MOST_ANSWER_BYTES", 2**18)
    async with speaker(sending(b"HTTP/1.1 200 OK\r\n\r\n", then=b"x" * 2**16)) as said, asking(said) as endpoint:
        with pytest.raises(EngineNonsense, match=f"{path} has more than"):
            await endpoint.text(path, WAIT_SECONDS)
        await said.gone.wait()
    assert said.sent < 2**23


async def test_what_is_packed_is_not_unpacked() -> None:
    packed = gzip.compress(b"x" * 2**20)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    async with speaker(sending(head, packed)) as said, asking(said) as endpoint:
        with pytest.raises(EngineNonsense, match="is not JSON"):
            await endpoint.json("/v1/models", WAIT_SECONDS)
    assert "accept-encoding: identity" in said.head.lower()


async def test_an_event_longer_than_the_buffer_of_aiohttp_is_read_whole() -> None:
    async with openai_endpoint() as canned:
        canned.events = [{"prompt_token_ids": [12345] * 2**18}]
        endpoint = Endpoint(canned.url)
        patience = Patience(WAIT_SECONDS, WAIT_SECONDS)
        lines = [line async for line in endpoint.lines("/v1/completions", {}, {}, patience, 2**22)]
        await endpoint.close()
    assert lines[0] == f"data: {json.dumps(canned.events[0])}".encode()
    assert lines[2] == b"data: [DONE]"


# --- waits


@pytest.mark.parametrize(
    "drop",
    [
        b": ping\n\n",
        b"x",
        b"data: \n\n",
        b'data: {"choices": []}\n\n',
        b'data: {"choices": [{"text": "", "finish_reason": null}]}\n\n',
        b'data: {"usage": {"prompt_tokens": 3}}\n\n',
    ],
)
async def test_what_brings_no_answer_on_does_not_keep_it_waited_for(drop: bytes) -> None:
    came: list[Output] = []
    async with speaker(dripping(STREAM, drop=drop)) as said, asking(said) as endpoint:
        with pytest.raises(EngineSlow, match=r"within 0\.2 s"):
            await read_into(came, endpoint, first_seconds=SOON_SECONDS)
    async with speaker(dripping(STREAM, event("a"), drop=drop)) as said, asking(said) as endpoint:
        with pytest.raises(EngineSlow, match=r"within 0\.2 s"):
            await read_into(came, endpoint, between_seconds=SOON_SECONDS)
    assert [output.text for output in came] == ["a"]


async def test_nor_does_a_flood_of_it_that_is_never_waited_for() -> None:
    async with speaker(sending(STREAM, then=b": ping\n\n" * 1000)) as said, asking(said) as endpoint:
        with pytest.raises(EngineSlow):
            await read_into([], endpoint, first_seconds=SOON_SECONDS)


async def test_tokens_that_keep_coming_are_waited_for_however_long_the_answer_is() -> None:
    async def speak(said: Speaker, writer: asyncio.StreamWriter) -> None:
        await said.send(writer, STREAM)
        for _ in range(30):
            await said.send(writer, event("a"))
            await asyncio.sleep(SOON_SECONDS / 10)
        await said.send(writer, event("b", "stop") + b"data: [DONE]\n\n")

    came: list[Output] = []
    async with speaker(speak) as said, asking(said) as endpoint:
        await read_into(came, endpoint, between_seconds=SOON_SECONDS)
    assert "".join(output.text for output in came) == "a" * 30 + "b"


async def test_a_reader_that_takes_long_is_not_the_servers_fault() -> None:
    texts = []
    async with speaker(sending(STREAM, event("a"), event("b"), event("c", "stop"))) as said, asking(said) as endpoint:
        async for output in completed(endpoint, "/v1/completions", {}, {}, WAIT_SECONDS, SOON_SECONDS):
            texts.append(output.text)
            await asyncio.sleep(1.5 * SOON_SECONDS)
    assert texts == ["a", "b", "c"]


@pytest.mark.parametrize("drop", [b": ping\n\n", b"data: <html>\n\n"])
async def test_a_whole_text_does_not_wait_long_for_its_usage(monkeypatch: pytest.MonkeyPatch, drop: bytes) -> None:
    monkeypatch.setattr(endpoint_module, "END_SECONDS", SOON_SECONDS)
    came: list[Output] = []
    async with speaker(dripping(STREAM, event("a"), event("b", "stop"), drop=drop)) as said, asking(said) as endpoint:
        await read_into(came, endpoint)
    assert [(output.text, output.finish_reason, output.cached_tokens) for output in came] == [
        ("a", None, None),
        ("b", "stop", None),
    ]


async def test_a_connection_that_breaks_after_a_whole_text_takes_nothing_back() -> None:
    async def speak(said: Speaker, writer: asyncio.StreamWriter) -> None:
        await said.send(writer, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + event("b", "stop"))

    came: list[Output] = []
    async with speaker(speak) as said, asking(said) as endpoint:
        await read_into(came, endpoint)
    assert [output.text for output in came] == ["b"]


async def test_a_usage_that_cannot_be_is_logged_once_without_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    odd = b'data: {"usage": {"prompt_tokens": "zyzzyva"}}\n\ndata: [DONE]\n\n'
    async with speaker(sending(STREAM, event("b", "stop"), odd)) as said, asking(said) as endpoint:
        for _ in range(2):
            await read_into([], endpoint)
    assert len([line for line in caplog.messages if "cannot be true" in line]) == 1
    assert "zyzzyva" not in caplog.text


# --- HTTP


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\r\n\r\n",
        b"zyzzyva\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 \xff\xff OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nzyzzyva\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 10_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nzyzzyva",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzyzzyva\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nzyzzyva\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: zyzzyva\r\n\r\nzyzzyva",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=zyzzyva\r\n\r\n\xff\xff",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[zyzzyva\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: zyzzyva\r\nConnection: upgrade\r\n\r\nzyzzyva",
        b"HTTP/1.1 429 Busy\r\nRetry-After: zyzzyva\r\nSet-Cookie: \xff=;;\r\n\r\nzyzzyva",
    ],
)
async def test_no_http_is_so_odd_that_it_is_more_than_an_engine_error(
    caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    caplog.set_level("DEBUG")
    async with speaker(sending(said)) as server, asking(server) as endpoint:
        with pytest.raises(EngineError) as of_answer:
            await read_into([], endpoint)
        with pytest.raises(EngineError) as of_json:
            await endpoint.json("/v1/models", WAIT_SECONDS)
    assert isinstance(of_answer.value, EngineUnavailable | EngineRefused)
    assert "zyzzyva" not in f"{of_answer.value}{of_json.value}{caplog.text}"


async def test_when_to_come_again_is_passed_on() -> None:
    busy = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n{}"
    async with speaker(sending(busy)) as said, asking(said) as endpoint:
        with pytest.raises(EngineBusy) as refused:
            await read_into([], endpoint)
    assert refused.value.retry_after_seconds == 7
