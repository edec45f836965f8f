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
from forefill_service.engine.vllm.openai_app import ForeignRequests
from forefill_service.engine.vllm.openai_port import Stopping, openai_port
from forefill_service.errors import EngineStartError

SECONDS_TO_GIVE_UP = 30


class App:
    """Answers when it may; `asked` is set when a request is there."""

    def __init__(self) -> None:
        self.may_answer, self.asked = asyncio.Event(), asyncio.Event()
        self.lives = 0
        self.cancelled = False
        self.starts = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.asked.set()
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
async def served(app: Any, grace_seconds: float = SECONDS_TO_GIVE_UP) -> AsyncIterator[tuple[str, Stopping]]:
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        listener = socket.create_server(("127.0.0.1", 0))
        async with openai_port(app, listener, grace_seconds) as stopping:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", stopping


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
