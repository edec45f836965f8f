"""The metadata by which a gateway keeps the streams of a session at one server."""

import hashlib
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import AsyncClient
from forefill_client.testing import FakeServer

from tests.support.broken_streams import RESUME, UNAVAILABLE, goes_on, one_after_the_other
from tests.support.scripted_service import Wire, serving
from tests.support.session_events import drain_opened

NAME = "x-forefill-session"


class Gateway:
    """Sees what each stream brings; the first breaks after its first event."""

    def __init__(self) -> None:
        self.seen: list[list[Any]] = []
        self.openings: list[pb.Open] = []

    def _sees(self, wire: Wire) -> None:
        self.seen.append([value for name, value in wire.metadata if name == NAME])

    async def breaks(self, wire: Wire) -> None:
        self._sees(wire)
        await wire.open()
        self.openings.append(wire.opening)
        await wire.event()
        await wire.fail(UNAVAILABLE, "gone")

    async def goes_on(self, wire: Wire) -> None:
        self._sees(wire)
        await goes_on(wire)
        self.openings.append(wire.opening)

    async def serves(self, wire: Wire) -> None:
        self._sees(wire)
        await drain_opened(wire)
        self.openings.append(wire.opening)


async def gateway_of(of_client: Any = (), **session: Any) -> Gateway:
    """Open a session, and return what the gateway saw."""
    gateway = Gateway()
    async with (
        serving(gateway.serves) as address,
        AsyncClient.connect(address, metadata=of_client) as client,
        client.session(**session),
    ):
        pass
    return gateway


async def test_a_stream_brings_a_hash_of_the_sessions_key_and_not_the_key() -> None:
    gateway = await gateway_of(session_key="anna")
    assert gateway.seen == [[hashlib.sha256(b"anna").hexdigest()[:32]]]


@pytest.mark.parametrize("key", ["", "anna"])
async def test_a_stream_that_resumes_a_session_brings_the_same(key: str) -> None:
    gateway = Gateway()
    scripts = one_after_the_other(gateway.breaks, gateway.goes_on)
    async with (
        serving(scripts) as address,
        AsyncClient.connect(address, resume=RESUME) as client,
        client.session(session_key=key, auto_flush=False) as session,
    ):
        await session.type("x")
        assert await (await session.submit()).text() == "x"
    first, resumed = gateway.seen
    assert first == resumed
    assert len(first) == 1


async def test_a_session_without_a_key_has_a_random_one_which_the_server_gets() -> None:
    one, other = await gateway_of(), await gateway_of()
    assert one.seen != other.seen
    [opening] = one.openings
    assert one.seen == [[hashlib.sha256(opening.session_key.encode()).hexdigest()[:32]]]


async def test_its_name_at_a_real_server_is_that_key_so_another_client_can_continue_it() -> None:
    sent: list[Any] = []

    class Sees(grpc.aio.StreamStreamClientInterceptor):
        async def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
            sent.extend(value for name, value in details.metadata if name == NAME)
            return await continuation(details, requests)

    async with (
        FakeServer() as server,
        AsyncClient.connect(server.address, interceptors=[Sees()]) as client,
        client.session() as session,
    ):
        name = session.opened.session_id
    assert sent == [hashlib.sha256(name.encode()).hexdigest()[:32]]


@pytest.mark.parametrize("by_client", [True, False])
async def test_a_value_of_the_callers_own_wins(by_client: bool) -> None:
    own = {NAME: "ward-7"}
    gateway = await (gateway_of(own) if by_client else gateway_of(metadata=own))
    assert gateway.seen == [["ward-7"]]
