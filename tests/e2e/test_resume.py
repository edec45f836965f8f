"""A program of ten lines on the SDK, and a server process that is killed while it runs."""

import signal
import socket
from contextlib import AsyncExitStack

import pytest
from forefill_client import AsyncClient, ChatMessage, SessionState

from tests.support.server_process import ServerProcess, server_process

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANSWER_TOKENS = 30


class Server:
    """A server process on one port, which can be killed and started again."""

    def __init__(self, stack: AsyncExitStack) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        self._stack = stack
        self._process: ServerProcess | None = None

    async def starts(self) -> None:
        speed = ("--fake-answer-tokens", str(ANSWER_TOKENS), "--fake-decode-speed", "30")
        process = await self._stack.enter_async_context(
            server_process("--engine", "fake", "--port", str(self.port), "--metrics-port", "-1", *speed)
        )
        await process.listening()
        self._process = process

    async def is_killed(self) -> None:
        assert self._process is not None
        self._process.send(signal.SIGKILL)
        await self._process.ended()


async def test_a_program_goes_on_though_its_server_is_killed_twice() -> None:
    breaks: list[str] = []

    def on_state(state: SessionState, reason: Exception | None) -> None:
        if state is SessionState.RECONNECTING:
            breaks.append(type(reason).__name__)

    async with AsyncExitStack() as stack:
        server = Server(stack)
        await server.starts()
        client = await stack.enter_async_context(AsyncClient.connect(f"127.0.0.1:{server.port}"))
        session = await stack.enter_async_context(client.session([("system", "Be brief.")], on_state=on_state))

        await session.type("Show me ")
        await server.is_killed()
        await session.type("all ")
        await server.starts()
        await session.type("patients")
        answer = await session.submit()
        said = ""
        async for delta in answer:
            said += delta
            if not breaks[1:] and said.count(" ") == 3:
                await server.is_killed()
                breaks.append("killed")
                await server.starts()
        assert answer.resumed >= 1
        assert len(said.split()) == ANSWER_TOKENS
        second = await (await session.submit("And now?")).text()
        assert session.messages == (
            ChatMessage("system", "Be brief."),
            *(ChatMessage("user", "Show me all patients"), ChatMessage("assistant", said)),
            *(ChatMessage("user", "And now?"), ChatMessage("assistant", second)),
        )
    async with AsyncExitStack() as stack:
        server = Server(stack)
        await server.starts()
        client = await stack.enter_async_context(AsyncClient.connect(f"127.0.0.1:{server.port}"))
        session = await stack.enter_async_context(client.session([("system", "Be brief.")]))
        assert await (await session.submit("Show me all patients")).text() == said, "as if nothing had happened"
