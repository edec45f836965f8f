"""The port of the OpenAI API, with a small application in place of vLLM's."""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets
from forefill_service.engine.vllm.openai_app import ForeignRequests
from forefill_service.errors import EngineStartError
from forefill_service.listeners.openai_port import Stopping, openai_port

SECONDS_TO_GIVE_UP = 30
HEAD = b"GET / HTTP/1.1\r\nHost: test\r\n"


class App:
    """Answers when it may; `asked` is set when a request is there."""

    def __init__(self) -> None:
        self.may_answer, self.asked = asyncio.Event(), asyncio.Event()
        self.lives = 0
        self.cancelled = False
        self.running = 0
        self.starts = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.asked.set()
        self.running += 1
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"SELECT 1"})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        if not self.starts:
            await send({"type": "lifespan.startup.failed", "message": "no"})
            return
        self.lives += 1
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.lives -= 1
        await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def served(
    app: Any, grace_seconds: float = SECONDS_TO_GIVE_UP, **limits: Any
) -> AsyncIterator[tuple[str, Stopping]]:
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        listener = socket.create_server(("127.0.0.1", 0))
        async with openai_port(app, listener, grace_seconds, **limits) as stopping:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", stopping


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def sends(url: str, data: bytes) -> Streams:
    """Connect, and send this."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(data)
    return reader, writer


async def is_cut(streams: Streams) -> bool:
    """Wait for the end of a connection; return whether no answer came before it."""
    reader, writer = streams
    try:
        return b"HTTP/" not in await reader.read()
    except ConnectionError:
        return True
    finally:
        writer.close()


async def test_it_answers_for_the_time_of_the_block_and_leaves_signals_alone() -> None:
    app, handlers = App(), [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    app.may_answer.set()
    async with served(app) as (url, _), httpx.AsyncClient() as client:
        assert (await client.get(url)).text == "SELECT 1"
        assert app.lives == 1
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert app.lives == 0
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_a_request_that_runs_at_the_end_is_answered() -> None:
    app = App()
    async with httpx.AsyncClient(timeout=SECONDS_TO_GIVE_UP) as client:
        async with served(app) as (url, stopping):
            asking = asyncio.create_task(client.get(url))
            await app.asked.wait()
            stopping.begin()
            app.may_answer.set()
        assert (await asking).text == "SELECT 1"


async def test_one_that_takes_too_long_is_ended() -> None:
    app = App()
    async with httpx.AsyncClient(timeout=SECONDS_TO_GIVE_UP) as client:
        async with served(app, grace_seconds=0) as (url, _):
            asking = asyncio.create_task(client.get(url))
            await app.asked.wait()
        with pytest.raises(httpx.HTTPError):
            (await asking).raise_for_status()
    assert app.cancelled


async def test_one_may_be_ended_before_that() -> None:
    app = App()
    async with httpx.AsyncClient(timeout=SECONDS_TO_GIVE_UP) as client:
        async with served(app) as (url, stopping):
            asking = asyncio.create_task(client.get(url))
            await app.asked.wait()
            stopping.end()
        with pytest.raises(httpx.HTTPError):
            (await asking).raise_for_status()
    assert app.cancelled


async def test_a_client_that_does_not_take_its_answer_holds_up_no_end() -> None:
    asked = asyncio.Event()

    class Endless(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await self._live(receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            asked.set()
            while True:
                await send({"type": "http.response.body", "body": bytes(1_000_000), "more_body": True})

    async with served(Endless(), grace_seconds=10 * SECONDS_TO_GIVE_UP) as (url, stopping):
        silent = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        silent.sendall(HEAD + b"\r\n")
        await asked.wait()
        await asyncio.sleep(0.2)  # until nothing more fits between them
        stopping.end()
    silent.close()


async def test_an_application_that_does_not_start_is_told_to_who_starts_it() -> None:
    app = App()
    app.starts = False
    with pytest.raises(EngineStartError, match="OpenAI API does not start"):
        async with served(app):
            raise AssertionError("it is not served")


async def test_its_failure_is_logged_and_costs_the_port_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import uvicorn

    async def fails(self: uvicorn.Server, counter: int) -> bool:
        raise OSError("no more files")

    with caplog.at_level(logging.ERROR):
        async with served(App()):
            monkeypatch.setattr(uvicorn.Server, "on_tick", fails)
            async with asyncio.timeout(SECONDS_TO_GIVE_UP):
                while not caplog.records:  # noqa: ASYNC110 - a log has no event
                    await asyncio.sleep(0.01)
    assert "hand-offs find nothing there" in caplog.text


async def test_requests_of_others_are_counted_while_they_run() -> None:
    app, foreign = App(), ForeignRequests()
    async with served(foreign.counted(app)) as (url, _), httpx.AsyncClient(timeout=SECONDS_TO_GIVE_UP) as client:
        assert foreign.running == 0
        asking = [asyncio.create_task(client.post(url)), asyncio.create_task(client.get(url))]
        await app.asked.wait()
        async with asyncio.timeout(SECONDS_TO_GIVE_UP):
            while not foreign.running:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert foreign.running == 1, "to ask for what is served is no work"
        app.may_answer.set()
        await asyncio.gather(*asking)
        assert foreign.running == 0


@pytest.mark.parametrize("begun", [b"", b"GET / HT", HEAD])
async def test_a_head_that_does_not_end_is_given_up(begun: bytes) -> None:
    async with served(App(), head_seconds=0.05) as (url, _):
        assert await is_cut(await sends(url, begun))


async def test_so_is_the_next_one_on_the_same_connection_but_not_what_runs() -> None:
    app = App()
    async with served(app, head_seconds=0.05) as (url, _):
        reader, writer = await sends(url, HEAD + b"\r\n")
        await asyncio.sleep(0.2)
        app.may_answer.set()
        assert b"200 OK" in await reader.readuntil(b"SELECT 1")
        writer.write(b"GET / HT")
        assert await is_cut((reader, writer))


async def test_one_more_that_waits_takes_the_place_of_the_oldest_and_of_nothing_that_runs() -> None:
    app = App()
    async with served(app, most_waiting=2) as (url, _):
        runs = await sends(url, HEAD + b"\r\n")
        await app.asked.wait()
        first, second, third = [await sends(url, HEAD) for _ in range(3)]
        assert await is_cut(first)
        for _, writer in (second, third):
            writer.write(b"\r\n")
        async with asyncio.timeout(SECONDS_TO_GIVE_UP):
            while app.running < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        app.may_answer.set()
        for reader, writer in (runs, second, third):
            assert b"200 OK" in await reader.readuntil(b"SELECT 1")
            writer.close()


@pytest.mark.parametrize("head", [b"X: " + b"a" * 200_000, b"X: a\r\n" * 20_000, None], ids=["long", "many", "address"])
async def test_a_head_that_is_too_large_is_refused(head: bytes | None) -> None:
    sent = b"GET /" + b"a" * 200_000 if head is None else HEAD + head
    async with served(App()) as (url, _):
        reader, writer = await sends(url, sent)
        try:
            said = await reader.read()
        except ConnectionError:  # it did not read all of it
            said = b""
        assert not said or b"400 Bad Request" in said
        writer.close()


async def test_a_web_socket_waits_for_no_head() -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await App()._live(receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    async with (
        served(echo, head_seconds=0.05) as (url, _),
        websockets.connect(url.replace("http", "ws")) as connection,
    ):
        await asyncio.sleep(0.2)
        await connection.send("hello")
        assert await connection.recv() == "hello"
