"""Large messages: the size is looked at first, and nothing of what was typed outlives its session."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_client import AsyncClient, InvalidRequest
from forefill_service.chat.messages import ChatMessage
from forefill_service.engine import FakeEngine
from forefill_service.errors import Reason, Refusal
from forefill_service.fleet.shares import Share
from forefill_service.listeners.compose_port import BEYOND_BYTES
from forefill_service.server import RunningServer
from forefill_service.serving.content_limits import ContentLimits
from forefill_service.serving.runner import Event
from forefill_service.session.events import CharAdd, KeystrokeEvent, Open
from forefill_service.settings import Settings
from forefill_service.wire import incoming
from forefill_service.wire.incoming import AT_ONCE_BYTES, events_of
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from tests.support.callers import KEY, served_to, typing_with, with_key
from tests.support.held import held
from tests.support.wire import Wire

LIMITS = ContentLimits(message_bytes=100_000, open_bytes=50_000, held_bytes=200_000)


def opening(size: int) -> pb.ComposeRequest:
    """Return an Open of so many bytes on the wire."""
    return of_size(
        size, lambda text: pb.ComposeRequest(open=pb.Open(messages=[pb.ChatMessage(role="a", content=text)]))
    )


def typed(size: int) -> pb.ComposeRequest:
    """Return an event of so many bytes on the wire."""
    return of_size(size, lambda text: pb.ComposeRequest(event=pb.KeystrokeEvent(seq=1, char_add=pb.CharAdd(text=text))))


def of_size(size: int, make: Callable[[str], pb.ComposeRequest]) -> pb.ComposeRequest:
    rest = next(rest for rest in range(40) if make("x" * (size - rest)).ByteSize() == size)
    return make("x" * (size - rest))


async def read(*requests: pb.ComposeRequest, render: Callable[..., Any] | None = None) -> list[Event]:
    """Return the events of a stream of these messages."""
    data: Iterator[object] = iter([*(request.SerializeToString() for request in requests), grpc.aio.EOF])

    async def next_one() -> object:
        return next(data)

    async def at_once(function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    return [event async for event in events_of(next_one, LIMITS, render or at_once)]


async def test_messages_of_the_size_that_is_allowed_are_taken() -> None:
    first, second = await read(opening(LIMITS.open_bytes), typed(LIMITS.message_bytes))
    assert isinstance(first, Open)
    assert isinstance(second, KeystrokeEvent)


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ([opening(LIMITS.open_bytes + 1)], "Open has 50001 bytes, and 50000 are allowed"),
        ([opening(200), typed(LIMITS.message_bytes + 1)], "it has 100001 bytes, and 100000 are allowed"),
        ([opening(200), opening(LIMITS.message_bytes + 1)], "it has 100001 bytes, and 100000 are allowed"),
    ],
)
async def test_larger_ones_are_refused_before_anything_is_parsed(
    requests: list[pb.ComposeRequest], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []
    parse = incoming._event

    def parsing(data: bytes, *rest: Any) -> Any:
        parsed.append(len(data))
        return parse(data, *rest)

    monkeypatch.setattr(incoming, "_event", parsing)
    with pytest.raises(Refusal, match=words) as refusal:
        await read(*requests)
    assert refusal.value.reason is Reason.MESSAGE_TOO_LARGE
    assert parsed == [request.ByteSize() for request in requests[:-1]]


async def test_what_is_long_is_parsed_and_converted_elsewhere_and_in_order() -> None:
    sizes: list[int] = []

    async def render(function: Callable[..., Any], data: bytes, *args: Any) -> Any:
        sizes.append(len(data))
        return function(data, *args)

    texts = [AT_ONCE_BYTES + 1, AT_ONCE_BYTES, AT_ONCE_BYTES + 2]
    events = await read(opening(AT_ONCE_BYTES + 3), *map(typed, texts), render=render)
    assert sizes == [AT_ONCE_BYTES + 3, AT_ONCE_BYTES + 1, AT_ONCE_BYTES + 2]
    said = [
        event.kind.text for event in events if isinstance(event, KeystrokeEvent) and isinstance(event.kind, CharAdd)
    ]
    assert [typed(size).event.char_add.text for size in texts] == said


async def test_an_open_that_takes_too_much_memory_is_refused() -> None:
    many = [pb.ChatMessage(role="u") for _ in range(LIMITS.held_bytes // 100)]
    with pytest.raises(Refusal, match=r"the session would hold .* and 200000 are allowed") as refusal:
        await read(pb.ComposeRequest(open=pb.Open(messages=many)))
    assert refusal.value.reason is Reason.INVALID_OPEN


async def test_between_messages_nothing_holds_the_last_one() -> None:
    still: list[int] = []

    async def next_ones() -> AsyncIterator[object]:
        yield opening(6000).SerializeToString()
        gc.collect()
        still.append(sum(it not in known for it in held(Open, KeystrokeEvent)))
        yield grpc.aio.EOF

    known = held(Open, KeystrokeEvent)
    ones = next_ones()

    async def at_once(function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    async for event in events_of(lambda: anext(ones), LIMITS, at_once):
        assert isinstance(event, Open)
        del event
    assert still == [0]


@pytest.fixture
def max_sessions() -> int:
    return 30


async def test_an_open_over_the_limit_ends_the_stream_with_its_reason(wire: Wire, bystander: Wire) -> None:
    most = ContentLimits.of(Settings(), 400).open_bytes
    await wire.write(opening(most + 1))
    assert await wire.status() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
    assert await wire.call.details() == (
        f"the message is larger than the server accepts; send less: Open has {most + 1} bytes, and {most} are allowed"
    )


async def test_an_event_over_the_limit_ends_the_stream_with_its_reason(wire: Wire, bystander: Wire) -> None:
    most = Settings().server.max_message_bytes
    await wire.open()
    await wire.write(typed(most + BEYOND_BYTES))
    assert await wire.status() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")


async def test_what_is_larger_by_64_kb_and_more_is_not_taken_in_and_the_sdk_still_says_so(
    server: RunningServer, bystander: Wire
) -> None:
    most = Settings().server.max_message_bytes
    async with grpc.aio.insecure_channel(server.address) as channel:
        compose: Any = channel.stream_stream("/forefill.v1.KeystrokeService/Compose")
        call = compose()
        await call.write(bytes(most + BEYOND_BYTES + 1))
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    async with AsyncClient.connect(server.address) as client:
        with pytest.raises(InvalidRequest, match="send less") as refused:
            async with client.session([("system", "x" * (most + BEYOND_BYTES))]):
                pass
        assert refused.value.reason == "MESSAGE_TOO_LARGE"


async def test_a_text_over_the_limit_of_drafts_is_refused_alone_however_long(wire: Wire) -> None:
    await wire.open()
    await wire.write(typed(Settings().server.max_message_bytes))
    assert (await wire.error()).reason == pb.ERROR_REASON_DRAFT_TOO_LONG
    await wire.numbered(2, char_add=pb.CharAdd(text="Is it so?"))
    wire.draft = "Is it so?"
    assert (await wire.submit()).finished.usage.completion_tokens > 0


async def test_a_large_message_that_is_no_protobuf_is_refused_as_a_small_one_is(server: RunningServer) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        compose: Any = channel.stream_stream("/forefill.v1.KeystrokeService/Compose")
        for size in (10, AT_ONCE_BYTES + 1):
            call = compose()
            await call.write(b"\xff" * size)
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert dict(await call.trailing_metadata())["forefill-error-reason"] == "MALFORMED_MESSAGE"


def forms(said: str) -> list[pb.Open]:
    """Return Opens that are refused, each for another reason, and that say this."""
    message = pb.ChatMessage(role=said, content=said * 1000)
    empty = Value(list_value=ListValue())
    return [
        pb.Open(messages=[message], sampling=pb.Sampling(temperature=9)),
        pb.Open(messages=[message], draft="x" * 201),
        pb.Open(messages=[message, pb.ChatMessage(role=said, content="word " * 500)]),
        pb.Open(messages=[message] * 3, chat_template_kwargs=Struct(fields={str(n): empty for n in range(600)})),
    ]


@pytest.mark.parametrize("form", range(4))
async def test_what_was_refused_is_not_kept(server: RunningServer, form: int) -> None:
    said = f"canary-{form}-{threading.get_ident()}"
    gc.collect()
    gc.disable()  # what only the garbage collector frees may stay for hours
    try:
        wire = Wire(server.address)
        await wire.write(pb.ComposeRequest(open=forms(said)[form]))
        assert (await wire.status())[0] is grpc.StatusCode.INVALID_ARGUMENT
        await wire.channel.close()
        await is_gone(said)
    finally:
        gc.enable()


async def is_gone(said: str) -> None:
    async with asyncio.timeout(5):
        while kept(said):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


def kept(said: str) -> bool:
    return any(it.role == said for it in held(ChatMessage))


async def test_what_waits_to_be_refused_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused, said = asyncio.Event(), f"canary-{threading.get_ident()}"

    def later(_: Share) -> float:
        refused.set()
        return 60

    monkeypatch.setattr(Share, "refusal_seconds", property(later))
    async with (
        served_to(tmp_path, with_key("key"), sessions_per_caller=1) as (_, channel),
        typing_with(channel, KEY),
    ):
        call = KeystrokeServiceStub(channel).Compose(metadata=grpc.aio.Metadata(*KEY))
        gc.collect()
        gc.disable()
        try:
            await call.write(pb.ComposeRequest(open=pb.Open(messages=[pb.ChatMessage(role=said, content="x")])))
            await refused.wait()
            await is_gone(said)
        finally:
            gc.enable()
        assert not call.done()
        call.cancel()


async def test_a_session_that_has_ended_keeps_nothing_of_what_was_typed(
    server: RunningServer, engine: FakeEngine
) -> None:
    said = f"canary-{threading.get_ident()}"
    wire = Wire(server.address)
    await wire.write(pb.ComposeRequest(open=pb.Open(messages=[pb.ChatMessage(role=said, content="x")])))
    assert (await wire.read()).HasField("opened")
    assert kept(said)
    await wire.type("Is it so? ")
    await wire.flush()
    await wire.submit()
    await wire.end()
    await wire.channel.close()
    engine.requests.clear()
    engine.chat_endpoint.asked.clear()
    engine.chat_endpoint.requests.clear()
    gc.collect()
    await is_gone(said)
