"""Templates and variables of every kind over the wire: an Open ends in Opened or a typed refusal, and others go on."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1 import keystroke_pb2_grpc as rpc
from forefill_service.chat.messages import Conversation
from forefill_service.chat.prompt import Chat
from forefill_service.chat.template import HfChat
from forefill_service.engine import FakeChat, FakeEngine
from forefill_service.engine.template_variables import variables_of
from forefill_service.fleet.render_pool import CLOSE_SECONDS, GIVE_UP_TICKS, SLOW_TICKS, TICK_SECONDS
from forefill_service.server import running_server
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.served import SECONDS_TO_GIVE_UP, SETTINGS, changed, ended_by, until
from tests.support.small_tokenizer import small_tokenizer
from tests.support.stage import Gate
from tests.support.templates import CHATML
from tests.support.wire import Typist, error_reason, typing_at

STUCK = "Now hang"


class Hanging(FakeChat):
    """Never gets done with a conversation that says so: in Python code, or in C code until the test ends."""

    def __init__(self, *, in_c: bool = False) -> None:
        self.begun = threading.Semaphore(0)
        self.released = threading.Event()
        self._in_c = in_c

    def render(self, conversation: Conversation) -> str:
        if any(STUCK in message.content for message in conversation.messages):
            self.begun.release()
            if self._in_c:
                self.released.wait()
            while True:
                pass
        return super().render(conversation)

    async def has_begun(self, times: int = 1) -> None:
        for _ in range(times):
            assert await asyncio.to_thread(self.begun.acquire, timeout=SECONDS_TO_GIVE_UP)


class Timer:
    """The server's sleep. The test gives the ticks of the render pool; all others sleep until the server stops."""

    def __init__(self) -> None:
        self.pool = Gate()
        self.pool.held = True

    async def __call__(self, seconds: float) -> None:
        if seconds == TICK_SECONDS:
            await self.pool()
        elif seconds != CLOSE_SECONDS:
            await asyncio.Event().wait()

    async def ticks(self, times: int) -> None:
        for _ in range(times):
            await until(lambda: self.pool.waiting)
            self.pool.step()
            await until(lambda: not any(wait.done() for wait in self.pool.waiting))


class Served:
    """A server whose model has this chat."""

    def __init__(self, address: str, timer: Timer) -> None:
        self.address, self.timer = address, timer

    @asynccontextmanager
    async def opening(self, opening: pb.Open) -> AsyncIterator[Typist]:
        """Send an Open, and wait for nothing."""
        async with grpc.aio.insecure_channel(self.address) as channel:
            call = rpc.KeystrokeServiceStub(channel).Compose()
            await call.write(pb.ComposeRequest(open=opening))
            try:
                yield Typist(call)
            finally:
                call.cancel()

    async def opens(self, opening: pb.Open) -> str:
        """Return the name of the first response, or the reason of the stream's end."""
        async with self.opening(opening) as typist:
            try:
                return (await typist.read()).WhichOneof("response") or ""
            except grpc.aio.AioRpcError as error:
                return error_reason(error) or f"no reason: {error}"


@asynccontextmanager
async def served(chat: Chat, context_tokens: int = 1024, **flat: Any) -> AsyncIterator[Served]:
    engine, timer = FakeEngine(context_tokens=context_tokens), Timer()
    engine.chat = chat  # type: ignore[assignment]
    async with (
        asyncio.timeout(SECONDS_TO_GIVE_UP),
        running_server([engine], changed(SETTINGS, **flat), sleep=timer) as server,
    ):
        yield Served(server.address, timer)


def conversation(text: str) -> pb.Open:
    return pb.Open(messages=[pb.ChatMessage(role="system", content=text)])


@pytest.fixture(params=[False, True], ids=["in Python", "in C"])
def hanging(request: pytest.FixtureRequest) -> Iterator[Hanging]:
    chat = Hanging(in_c=request.param)
    yield chat
    chat.released.set()


async def test_a_stuck_open_is_refused_and_others_open_type_and_are_answered_meanwhile(hanging: Hanging) -> None:
    async with served(hanging) as server, typing_at(server.address) as before:
        async with server.opening(conversation(STUCK)) as stuck, server.opening(conversation(STUCK)) as another:
            await hanging.has_begun(2)
            await server.timer.ticks(SLOW_TICKS)
            await before.type("Show me ")
            await before.flush()
            assert (await before.submit("Show me all")).text
            async with typing_at(server.address) as after:
                assert (await after.submit("Show me all")).text
            await server.timer.ticks(GIVE_UP_TICKS - SLOW_TICKS)
            for typist in (stuck, another):
                error = await ended_by(typist)
                assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
                assert error_reason(error) == "TEMPLATE_REFUSED"
                assert "it takes more than 30 s" in (error.details() or "")
        assert (await before.submit("Show me all")).text


async def test_a_submit_that_is_stuck_is_refused_and_its_session_goes_on(hanging: Hanging) -> None:
    async with served(hanging) as server, typing_at(server.address) as typist:
        await typist.type("Show ")
        await typist.flush()  # by then it is known that the fast path is right, so SUBMIT takes it
        seq = await typist.send_submit(STUCK)
        await hanging.has_begun()
        await server.timer.ticks(GIVE_UP_TICKS)
        refused = await typist.read()
        assert refused.session_error.seq == seq
        assert refused.session_error.reason == pb.ERROR_REASON_TEMPLATE_REFUSED
        assert (await typist.submit("Show me all")).text


async def test_a_server_stops_though_a_template_is_stuck(hanging: Hanging) -> None:
    async with served(hanging) as server, server.opening(conversation(STUCK)) as stuck:
        await hanging.has_begun()
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await stuck.read()


async def test_a_client_that_leaves_takes_its_stuck_template_along() -> None:
    chat = Hanging()
    async with served(chat) as server:
        for _ in range(20):  # more than there are threads
            async with server.opening(conversation(STUCK)):
                await chat.has_begun()
            await server.timer.ticks(SLOW_TICKS)
        assert await server.opens(conversation("Be brief.")) == "opened"


# --- size, and templates that fail


def hf_chat(template: str) -> HfChat:
    return HfChat(small_tokenizer(), template, variables=variables_of(template))


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for i in range(100000) %}{{ messages[0]['content'] }}{% endfor %}", "PROMPT_TOO_LONG"),
        ("{{ messages[0]['content'] * 1000000 }}", "PROMPT_TOO_LONG"),
        ("{{ 'x' * 10 ** 14 }}", "TEMPLATE_REFUSED"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "TEMPLATE_REFUSED"),
        ("{{ raise_exception('👩' * 100000) }}", "TEMPLATE_REFUSED"),
        ("{{ raise_exception('a\r\nb\x00c') }}", "TEMPLATE_REFUSED"),
        ("{{ messages[9]['content']['x'] }}", "TEMPLATE_REFUSED"),
        ("{{ '\\ud800' }}{{ messages[-1]['content'] }}", "TEMPLATE_REFUSED"),
        (CHATML, "opened"),
    ],
)
async def test_a_template_that_renders_too_much_or_fails_is_a_typed_refusal(template: str, reason: str) -> None:
    async with served(hf_chat(template)) as server:
        assert await server.opens(conversation("Be brief.")) == reason


# --- variables

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    [
        "messages",
        "tools",
        "tokenize",
        "chat_template",
        "conversations",
        "kwargs",
        "self",
        "range",
        "bos_token",
        "effort",
    ]
)
READS_MUCH = CHATML + "{{ bos_token }}{{ effort.low }}{{ effort | int }}{{ conversations }}"
OPENED_OR_REFUSED = {"opened", "INVALID_OPEN", "TEMPLATE_REFUSED"}


@pytest.fixture(scope="module")
def chats() -> dict[str, Callable[[], Chat]]:
    reads_much = hf_chat(READS_MUCH)
    return {"fake": FakeChat, "hf": lambda: reads_much}


@pytest.mark.parametrize("chat", ["fake", "hf"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kwargs=st.lists(st.dictionaries(NAMES, JSON, max_size=4), min_size=5, max_size=10))
async def test_whatever_the_variables_are_an_open_is_opened_or_refused_with_a_reason(
    chats: dict[str, Callable[[], Chat]], chat: str, kwargs: list[dict[str, Any]]
) -> None:
    async with served(chats[chat]()) as server:
        for variables in kwargs:
            opening = conversation("Be brief.")
            json_format.ParseDict(variables, opening.chat_template_kwargs)
            assert await server.opens(opening) in OPENED_OR_REFUSED
        assert await server.opens(conversation("Be brief.")) in OPENED_OR_REFUSED
