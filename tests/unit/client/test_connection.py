"""How a client reaches a server: addresses, credentials, metadata, and what it says if there is none."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import forefill_client
import grpc
import pytest
from forefill_client import (
    AsyncClient,
    ForefillError,
    InvalidRequest,
    NotReachable,
    SessionEnded,
    SessionState,
    Unavailable,
)
from forefill_client.connection import VERSION

from tests.support.scripted_service import Wire, connected, serving
from tests.support.session_events import drain, drain_opened


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:50051",
        "https://example.org",
        "localhost",
        "127.0.0.1:",
        "127.0.0.1:99999",
        "127.0.0.1:50051/path",
        "::1:50051",
        "two words:1",
        "",
    ],
)
def test_what_cannot_be_an_address_is_refused_at_once(target: str) -> None:
    with pytest.raises(InvalidRequest, match="no address of a gRPC server: give HOST:PORT"):
        AsyncClient.connect(target)


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1:50051", "localhost:1", "[::1]:50051", "a-b.example.org:443", "dns:///a:1", "unix:///run/x.sock"],
)
def test_a_client_can_be_made_before_an_event_loop_runs(target: str) -> None:
    assert repr(AsyncClient.connect(target)) == f"<AsyncClient of {target}>"


@pytest.mark.parametrize(
    ("metadata", "cause"),
    [
        ({"Tenant": "a"}, "cannot have the name 'Tenant'"),
        ([("grpc-x", "a")], "cannot have the name 'grpc-x'"),
        ({"tenant": b"a"}, "'tenant' must be printable ASCII text"),
        ({"tenant": "ä"}, "'tenant' must be printable ASCII text"),
        ({"tenant": "a\n"}, "'tenant' must be printable ASCII text"),
        ({"tenant-bin": "a"}, "'tenant-bin' must be bytes"),
    ],
)
def test_metadata_that_cannot_be_sent_is_refused_by_name(metadata: Any, cause: str) -> None:
    client = AsyncClient.connect("127.0.0.1:1")
    for make in (
        lambda: AsyncClient.connect("127.0.0.1:1", metadata=metadata),
        lambda: client.session(metadata=metadata),
    ):
        with pytest.raises(InvalidRequest, match=cause):
            make()


def test_two_ways_to_say_the_credentials_are_one_too_many() -> None:
    with pytest.raises(InvalidRequest, match="either tls or credentials"):
        AsyncClient.connect("127.0.0.1:1", tls=True, credentials=grpc.ssl_channel_credentials())


def test_the_package_knows_its_version() -> None:
    assert forefill_client.__version__ == VERSION


async def heard(**options: Any) -> dict[str, Any]:
    """Open a session with these options of the client, and return what metadata the server got."""
    got: dict[str, Any] = {}

    async def script(wire: Wire) -> None:
        got.update(dict(wire.metadata))
        await drain_opened(wire)

    session = {"metadata": options.pop("of_session")} if "of_session" in options else {}
    async with serving(script) as address, AsyncClient.connect(address, **options) as client, client.session(**session):
        return got


async def test_the_server_gets_the_metadata_of_client_and_session() -> None:
    got = await heard(metadata={"tenant": "acme", "trace-bin": b"\x00"}, api_key="k", of_session=[("user", "anna")])
    assert (got["tenant"], got["trace-bin"], got["user"]) == ("acme", b"\x00", "anna")
    assert got["authorization"] == "Bearer k"
    assert got["user-agent"].startswith(f"forefill-python/{VERSION} ")


async def test_interceptors_see_each_session() -> None:
    class Adds(grpc.aio.StreamStreamClientInterceptor):
        async def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
            details.metadata.add("seen", "yes")
            return await continuation(details, requests)

    assert (await heard(metadata={"x": "y"}, interceptors=[Adds()]))["seen"] == "yes"


async def test_a_channel_of_ones_own_stays_open() -> None:
    async with serving(drain_opened) as address, grpc.aio.insecure_channel(address) as channel:
        async with AsyncClient.connect(address, channel=channel) as client, client.session():
            pass
        assert channel.get_state() is grpc.ChannelConnectivity.READY


async def test_without_waiting_for_the_client_the_first_session_connects() -> None:
    async with serving(drain_opened) as address:
        client = AsyncClient.connect(address)
        async with client.session() as session:
            assert session.opened.model == "scripted"
        await client.close()
        with pytest.raises(NotReachable, match="the client is closed"):
            async with client.session():
                pass


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[int]:
    """Listen on a port, and answer every connection with the same bytes."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def why_not(target: str, **options: Any) -> str:
    with pytest.raises(NotReachable) as caught:
        await AsyncClient.connect(target, connect_timeout_seconds=0.3, **options)
    return str(caught.value)


async def test_who_is_not_reachable_is_told_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert "nothing listens there" in await why_not(f"127.0.0.1:{port}")
    assert "its name is not known" in await why_not("no-such-host.invalid:50051")
    async with listening(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n") as port:
        assert "another kind of server listens there" in await why_not(f"127.0.0.1:{port}")
    async with serving(drain_opened) as address:
        assert "does not speak TLS" in await why_not(address, tls=True)


async def test_the_end_of_a_session_is_told_when_it_comes() -> None:
    told: list[tuple[SessionState, ForefillError | None]] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.event()
        await wire.fail(grpc.StatusCode.UNAVAILABLE, "gone")

    def on_state(state: SessionState, reason: ForefillError | None) -> None:
        told.append((state, reason))

    async with connected(script) as client, client.session(on_state=on_state, auto_flush=False) as session:
        assert session.state is SessionState.OPEN
        assert repr(session) == "<Session s1, open: 0 code points after 0 messages>"
        await session.type("x")
        ended = await asyncio.wait_for(session.wait_closed(), 5)
        assert isinstance(ended, Unavailable)
        await asyncio.sleep(0)
        assert told == [(SessionState.OPEN, None), (SessionState.CLOSED, ended)]
        assert repr(session) == "<Session s1, closed: 1 code points after 0 messages>"


async def test_a_session_that_ends_in_good_order_says_so_once() -> None:
    told: list[SessionState] = []
    async with connected(drain_opened) as client:
        session = client.session(on_state=lambda state, reason: told.append(state))
        assert repr(session) == "<Session, not open yet>"
        async with session:
            pass
        assert isinstance(await session.wait_closed(), SessionEnded)
        await asyncio.sleep(0)
    assert told == [SessionState.OPEN, SessionState.CLOSED]


async def test_a_callback_that_fails_does_not_hurt_the_session() -> None:
    seen: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context["exception"]))

    def fails(state: SessionState, reason: ForefillError | None) -> None:
        raise ZeroDivisionError

    async def script(wire: Wire) -> None:
        await wire.open()
        await drain(wire)

    async with connected(script) as client:
        async with client.session(on_state=fails):
            pass
        await asyncio.sleep(0)
    assert [type(error) for error in seen] == [ZeroDivisionError] * 2
