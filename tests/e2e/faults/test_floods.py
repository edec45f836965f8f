"""Floods, and what is sent slowly, in halves or in another language: what others notice, and what is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

import grpc
import psutil  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_service.listeners.compose_port import BEYOND_BYTES

from tests.support.metrics_page import metrics, seconds_until
from tests.support.neighbour import neighbour_at
from tests.support.raw_http2 import (
    CANCEL,
    COMPOSE,
    END_HEADERS,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    call_headers,
    frame,
    message,
    raw_connection,
)
from tests.support.served import ended_by
from tests.support.server_process import ServerProcess, server_process
from tests.support.wire import Typist, error_reason, typing_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from .conftest import Figure

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLAGS = ("--engine", "fake", "--open-timeout-seconds", "1", "--silent-client-seconds", "4", "--max-sessions", "1000")
FLOOD_SECONDS = 2.0
OPEN = pb.ComposeRequest(open=pb.Open(messages=[pb.ChatMessage(role="system", content="Be brief.")]))
KEY = pb.ComposeRequest(event=pb.KeystrokeEvent(seq=1, char_add=pb.CharAdd(text="a")))
SESSIONS = "forefill_sessions"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[ServerProcess]:
    async with server_process(*FLAGS) as server:
        await server.listening()
        yield server


def errors(page: dict[str, float], reason: str) -> float:
    return page.get(f'forefill_errors_total{{reason="{reason}"}}', 0.0)


async def for_a_while(attack: Callable[[], Awaitable[object]]) -> int:
    """Attack again and again, and return how often."""
    count, until = 0, time.monotonic() + FLOOD_SECONDS
    while time.monotonic() < until:
        await attack()
        count += 1
    return count


# --- floods


async def test_a_flood_of_keys(server: ServerProcess, figure: Figure) -> None:
    async with neighbour_at(server.address) as neighbour, typing_at(server.address) as typist:

        async def types() -> None:
            await typist.type("a")
            await typist.delete(1)

        count = await for_a_while(types)
        figure(f"another user's FLUSH beside {2 * count / FLOOD_SECONDS:.0f} events a second", neighbour.figure)


async def test_a_flood_of_flushes(server: ServerProcess, figure: Figure) -> None:
    async with neighbour_at(server.address) as neighbour, typing_at(server.address) as typist:
        await typist.type("many words of which none ends " * 20)
        reading = asyncio.create_task(_read_on(typist))
        count = await for_a_while(typist.send_flush)
        reading.cancel()
        figure(f"another user's FLUSH beside {count / FLOOD_SECONDS:.0f} FLUSHes a second", neighbour.figure)


async def test_a_flood_of_submits_and_cancels_of_which_nothing_is_read(server: ServerProcess, figure: Figure) -> None:
    page = await server.metrics_address()
    async with neighbour_at(server.address) as neighbour:
        counts = await asyncio.gather(*(_enter_and_cancel(server.address) for _ in range(6)))
        figure(f"another user's FLUSH beside {sum(counts) / FLOOD_SECONDS:.0f} SUBMITs a second", neighbour.figure)
        await seconds_until(page, SESSIONS, 1)


async def test_a_flood_of_sessions_that_open_and_break_off(server: ServerProcess, figure: Figure) -> None:
    page = await server.metrics_address()
    async with neighbour_at(server.address) as neighbour, grpc.aio.insecure_channel(server.address) as channel:

        async def opens() -> None:
            call = KeystrokeServiceStub(channel).Compose()
            await call.write(OPEN)
            call.cancel()

        count = await for_a_while(opens)
        await seconds_until(page, SESSIONS, 1)
        figure(f"another user's FLUSH beside {count / FLOOD_SECONDS:.0f} sessions a second", neighbour.figure)


async def test_a_flood_of_streams_that_are_reset_at_once(server: ServerProcess, figure: Figure) -> None:
    page = await server.metrics_address()
    async with neighbour_at(server.address) as neighbour, raw_connection(server.address) as connection:
        streams = iter(range(1, 2**31, 2))

        async def resets() -> None:
            burst = []
            for _ in range(50):
                stream = next(streams)
                burst += [call_headers(stream), message(stream, OPEN.SerializeToString())]
                burst.append(frame(RST_STREAM, stream, CANCEL))
            await connection.send(*burst)
            await asyncio.sleep(0)

        count = 50 * await for_a_while(resets)
        await seconds_until(page, SESSIONS, 1)
        so_far = ", hung up on," if connection.closed.is_set() else ""
        figure(f"another user's FLUSH beside {count / FLOOD_SECONDS:.0f} resets{so_far} a second", neighbour.figure)


@pytest.mark.parametrize(
    ("size", "accepted"), [(4_000, True), (100_000, False), (4_000_000, False)], ids=["usual", "large", "huge"]
)
async def test_metadata(server: ServerProcess, size: int, accepted: bool) -> None:
    async with neighbour_at(server.address), grpc.aio.insecure_channel(server.address) as channel:
        for _ in range(5):
            call = KeystrokeServiceStub(channel).Compose(metadata=(("x-much", "m" * size),))
            if accepted:
                await call.write(OPEN)
                assert (await Typist(call).read()).HasField("opened")
                call.cancel()
            else:
                assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_many_keys_of_metadata(server: ServerProcess) -> None:
    many = tuple((f"x-key-{n}", "v") for n in range(2_000))
    async with neighbour_at(server.address), grpc.aio.insecure_channel(server.address) as channel:
        code = await KeystrokeServiceStub(channel).Compose(metadata=many).code()
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


# --- slowly, and in halves


async def test_an_open_that_comes_byte_by_byte_is_ended_in_time(server: ServerProcess, figure: Figure) -> None:
    page = await server.metrics_address()
    before = errors(await metrics(page), "not_open")
    async with neighbour_at(server.address), raw_connection(server.address) as connection:
        began = time.monotonic()
        await connection.send(call_headers(1))
        bytes_of_open = message(1, OPEN.SerializeToString())[9:]  # without the header of the frame

        async def drips() -> None:
            for byte in bytes_of_open:
                await connection.send(frame(0, 1, bytes([byte])))
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drips())
        await seconds_until(page, 'forefill_errors_total{reason="not_open"}', before + 1)
        figure("ended, of 1 s that Open may take", f"{time.monotonic() - began:.2f} s")
        assert not dripping.done(), "it was ended before it was complete"
        dripping.cancel()


async def test_half_an_open_and_then_silence_on_many_streams(server: ServerProcess, figure: Figure) -> None:
    page = await server.metrics_address()
    before = errors(await metrics(page), "not_open")
    half = message(1, OPEN.SerializeToString())[9:-5]
    async with neighbour_at(server.address) as neighbour, raw_connection(server.address) as connection:
        began = time.monotonic()
        for stream in range(1, 400, 2):
            await connection.send(call_headers(stream), frame(0, stream, half))
        await seconds_until(page, 'forefill_errors_total{reason="not_open"}', before + 200)
        figure("200 streams ended, of 1 s that Open may take", f"{time.monotonic() - began:.2f} s")
        figure("another user's FLUSH meanwhile", neighbour.figure)


async def test_half_an_event_and_then_silence(server: ServerProcess, figure: Figure) -> None:
    page = await server.metrics_address()
    async with neighbour_at(server.address), raw_connection(server.address) as connection:
        await connection.send(call_headers(1), message(1, OPEN.SerializeToString()))
        await seconds_until(page, SESSIONS, 2)
        await connection.send(message(1, KEY.SerializeToString())[:-3])
        figure("ended, of 4 s that are allowed", f"{await seconds_until(page, SESSIONS, 1):.2f} s")


async def test_connections_that_never_finish_their_greeting(server: ServerProcess) -> None:
    async with neighbour_at(server.address):
        connections = [raw_connection(server.address, greets=False) for _ in range(100)]
        for connection in connections:
            await (await connection.__aenter__()).send(PREFACE[:8])
        for connection in connections:
            await connection.__aexit__(None, None, None)


# --- at and over the limits


@pytest.mark.parametrize(
    ("over", "reason"),
    [(0, ""), (1, "MESSAGE_TOO_LARGE"), (BEYOND_BYTES + 1, None)],
    ids=["at the limit", "a byte over it", "over what gRPC takes in"],
)
async def test_the_largest_message(server: ServerProcess, over: int, reason: str | None) -> None:
    async with neighbour_at(server.address), grpc.aio.insecure_channel(server.address) as channel:
        compose: Any = channel.stream_stream(COMPOSE, None, pb.ComposeResponse.FromString)
        typist = Typist(compose())
        await typist.call.write(OPEN.SerializeToString())
        most = (await typist.read()).opened.limits.max_message_bytes
        largest = key_of(most + over - (len(key_of(most)) - most))
        assert len(largest) == most + over
        await typist.call.write(largest)
        if not over:
            assert (await typist.read()).session_error.reason == pb.ERROR_REASON_DRAFT_TOO_LONG
            return
        ending = await ended_by(typist)
        assert ending.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert reason is None or error_reason(ending) == reason


async def test_a_message_that_is_small_until_it_is_unpacked(server: ServerProcess, figure: Figure) -> None:
    process, bomb = psutil.Process(server.pid), bytes(40_000_000)
    async with neighbour_at(server.address), grpc.aio.insecure_channel(server.address) as channel:
        before = process.memory_info().rss
        compose: Any = channel.stream_stream(COMPOSE)
        for _ in range(5):
            call = compose(compression=grpc.Compression.Gzip)
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await call.write(bomb)
            code = await call.code()
            # On a busy machine grpc.aio makes its own error of a write to a stream that has ended: see OPERATIONS.md.
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED or await call.details() == "Internal error from Core"
        grown = (process.memory_info().rss - before) / 2**20
        figure("memory after 5 messages of 40 kB that hold 40 MB", f"{grown:+.0f} MiB")
        assert grown < 30, "none of them is kept"


# --- another language


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        PREFACE + b"\xff" * 2000,
        PREFACE + frame(SETTINGS, 0) + frame(HEADERS, 1, b"\xff" * 100, END_HEADERS),
        random.Random(14).randbytes(20_000),
    ],
    ids=["HTTP/1.1", "TLS", "no frames", "no headers", "noise"],
)
async def test_what_is_not_grpc_is_hung_up_on(server: ServerProcess, said: bytes) -> None:
    async with neighbour_at(server.address), raw_connection(server.address, greets=False) as connection:
        await connection.send(said)
        async with asyncio.timeout(30):
            await connection.closed.wait()


@pytest.mark.parametrize(
    "path", ["/forefill.v1.KeystrokeService/Nothing", "/forefill.v2.KeystrokeService/Compose", "/"]
)
async def test_a_method_that_does_not_exist_is_not_implemented(server: ServerProcess, path: str) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        call: Any = channel.stream_stream(path)
        assert await call().code() is grpc.StatusCode.UNIMPLEMENTED


async def _enter_and_cancel(address: str) -> int:
    """Press Enter and cancel for a while, or until the server takes no more; return how often."""
    count = 0
    async with typing_at(address) as typist:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLOOD_SECONDS):
                while True:
                    await typist.send_submit("a")
                    await typist.event(cancel=pb.Cancel())
                    count += 1
    return count


async def _read_on(typist: Typist) -> None:
    while True:
        await typist.read()


def key_of(size: int) -> bytes:
    event = pb.KeystrokeEvent(seq=1, char_add=pb.CharAdd(text="a" * size))
    return pb.ComposeRequest(event=event).SerializeToString()
