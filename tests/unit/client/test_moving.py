"""Sessions whose server says that it stops, against a scripted server on loopback, and real ones."""

import asyncio
from collections.abc import Sized
from contextlib import AsyncExitStack

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import AsyncClient, ForefillError, Resume, ServerStopping, SessionState
from forefill_client.exchange import Exchange
from forefill_service.engine import FakeEngine
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.bad_network import bad_network
from tests.support.scripted_service import Wire, connected
from tests.support.session_events import drain

SECONDS_TO_GIVE_UP = 60
RESUME = Resume(seconds=20, first_delay_seconds=0.001, longest_delay_seconds=0.01)


async def until_opened(openings: Sized, count: int) -> None:
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        while len(openings) < count:  # noqa: ASYNC110 (the scripts tell nobody)
            await asyncio.sleep(0.001)


class Servers:
    """Streams, one after the other: the first says that it stops when it is told to, and is read to its end."""

    def __init__(self) -> None:
        self.openings: list[pb.Open] = []
        self.kinds: list[list[str]] = []
        self.seqs: list[list[int]] = []
        self.leave = asyncio.Event()
        self.moved = asyncio.Event()
        self.first_ended = asyncio.Event()

    async def script(self, wire: Wire) -> None:
        await wire.open()
        self.openings.append(wire.opening)
        if len(self.openings) > 1:
            self.moved.set()
            await self._serve(wire)
            return
        leaving = asyncio.create_task(self._says_go_away(wire))
        await self._serve(wire)
        await leaving
        self.first_ended.set()

    async def _serve(self, wire: Wire) -> None:
        kinds: list[str] = []
        seqs: list[int] = []
        self.kinds.append(kinds)
        self.seqs.append(seqs)
        while "end" not in kinds:
            event = await wire.event()
            kinds.append(event.WhichOneof("kind") or "")
            seqs.append(event.seq)
            if kinds[-1] == "submit":
                await wire.answer(event.seq, event.submit.text)

    async def _says_go_away(self, wire: Wire) -> None:
        await self.leave.wait()
        await wire.send(go_away=pb.GoAway(within_ms=20, resume_token="2.place"))


async def test_a_session_moves_while_its_server_still_serves_and_nothing_is_lost() -> None:
    servers, states = Servers(), list[SessionState]()
    async with (
        connected(servers.script, RESUME) as client,
        client.session(auto_flush=False, on_state=lambda state, _: states.append(state)) as session,
    ):
        await session.type("Sho")
        servers.leave.set()
        await servers.moved.wait()
        await session.type("w")
        answer = await session.submit()
        assert await answer.text() == "Show"
        assert answer.resumed == 0
        await servers.first_ended.wait()
    assert servers.openings[1].draft == "Sho"
    assert servers.openings[1].session_key == "s1"
    assert servers.openings[1].resume_token == "2.place"
    assert servers.kinds == [["char_add", "end"], ["char_add", "submit", "end"]]
    assert servers.seqs == [[1, 2], [1, 2, 3]]
    assert states == [SessionState.OPEN, SessionState.OPEN, SessionState.CLOSED]


async def test_a_running_answer_ends_before_its_session_moves() -> None:
    going, finish = asyncio.Event(), asyncio.Event()
    openings: list[pb.Open] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        openings.append(wire.opening)
        if len(openings) == 1:
            submit = await wire.until("submit")
            await wire.send(generation_started=pb.GenerationStarted(seq=submit.seq))
            await wire.send(go_away=pb.GoAway(within_ms=0))
            going.set()
            await finish.wait()
            await wire.answer(submit.seq, "whole")
        await drain(wire)

    async with connected(script, RESUME) as client, client.session(auto_flush=False) as session:
        answer = await session.submit("Show")
        await going.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(openings) == 1
        finish.set()
        assert await answer.text() == "whole"
        await until_opened(openings, 2)
    assert [message.content for message in openings[1].messages] == ["Show", "whole"]


async def test_a_session_that_is_not_to_resume_stays_until_it_is_ended() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.send(go_away=pb.GoAway(within_ms=0))
        await wire.until("char_add")
        await wire.fail(grpc.StatusCode.UNAVAILABLE, "the server stops", error_reason="SERVER_STOPPING")

    async with connected(script) as client:
        with pytest.raises(ServerStopping):  # noqa: PT012
            async with client.session(auto_flush=False) as session:
                await session.type("a")
                raise await session.wait_closed()


async def test_where_no_other_server_comes_the_stream_ends_as_any_other_and_the_session_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    openings: list[str] = []
    refused = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.open()
        openings.append(wire.opening.draft)
        if len(openings) == 1:
            await wire.until("char_add")
            await wire.send(go_away=pb.GoAway(within_ms=0))
            await refused.wait()
            await wire.fail(grpc.StatusCode.UNAVAILABLE, "the server stops", error_reason="SERVER_STOPPING")
        await drain(wire)

    async with connected(script, RESUME) as client, client.session(auto_flush=False) as session:
        exchange: Exchange = session._exchange
        ready = exchange._ready

        async def not_yet() -> None:
            monkeypatch.setattr(exchange, "_ready", ready)
            refused.set()
            raise ForefillError("nobody there yet")

        monkeypatch.setattr(exchange, "_ready", not_yet)
        await session.type("a")
        await until_opened(openings, 2)
        await session.type("b")
        assert session.draft == "ab"
    assert openings == ["", "a"]


async def test_a_second_stream_that_breaks_at_once_is_tried_again() -> None:
    openings: list[str] = []

    async def script(wire: Wire) -> None:
        if len(openings) == 1:
            openings.append("broken")
            await wire.fail(grpc.StatusCode.UNAVAILABLE, "not yet")
        await wire.open()
        openings.append(wire.opening.draft)
        if len(openings) == 1:
            await wire.until("char_add")
            await wire.send(go_away=pb.GoAway(within_ms=0))
        await drain(wire)

    async with connected(script, RESUME) as client, client.session(auto_flush=False) as session:
        await session.type("a")
        await until_opened(openings, 3)
    assert openings == ["", "broken", "a"]


async def test_a_rolling_update_is_not_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forefill_client.exchange.random.uniform", lambda low, high: low)
    states: list[SessionState] = []
    settings = Settings(port=0, metrics_port=-1, go_away_seconds=SECONDS_TO_GIVE_UP)
    async with AsyncExitStack() as old, AsyncExitStack() as others:
        first = await old.enter_async_context(running_server([FakeEngine()], settings))
        network = await others.enter_async_context(bad_network(first.address))
        client = await others.enter_async_context(AsyncClient.connect(network.address))
        session = await others.enter_async_context(client.session(on_state=lambda state, _: states.append(state)))
        await session.type("Show ")
        second = await others.enter_async_context(running_server([FakeEngine()], settings))
        network.upstream = second.address
        async with asyncio.timeout(SECONDS_TO_GIVE_UP):
            await old.aclose()
        assert second.servicer.sessions == 1
        await session.type("me all")
        answer = await session.submit()
        assert await answer.text()
        await session.end()
    assert states == [SessionState.OPEN, SessionState.OPEN, SessionState.CLOSED]
