"""Bad input on the wire: each has a typed answer, what can go on goes on, and no other session notices."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_service.engine import FakeEngine, Priority
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.support.wire import Typist

SYSTEM = pb.ChatMessage(role="system", content="You write SQL for a clinic. " * 20)
DRAFT = "Show me all the patients that were seen by a doctor in the last year, and say when "
MAX_SESSIONS = 3


class Wire(Typist):
    """One raw stream that may say anything, also before Open; reads have a time limit."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.aio.insecure_channel(address)
        super().__init__(KeystrokeServiceStub(self.channel).Compose())

    async def write(self, request: pb.ComposeRequest) -> None:
        await self.call.write(request)

    async def open(self, **fields: Any) -> pb.Opened:
        await self.write(pb.ComposeRequest(open=pb.Open(messages=[SYSTEM], **fields)))
        return (await self.read()).opened

    async def read(self) -> pb.ComposeResponse:
        async with asyncio.timeout(30):
            return await super().read()

    async def numbered(self, seq: int, **kind: Any) -> None:
        await self.write(pb.ComposeRequest(event=pb.KeystrokeEvent(seq=seq, **kind)))

    async def error(self) -> pb.SessionError:
        response = await self.read()
        assert response.WhichOneof("response") == "session_error", response
        return response.session_error

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """Return the code and the ErrorInfo's reason that ended the stream; "" where it has none."""
        async with asyncio.timeout(30):
            code = await self.call.code()
        status = await rpc_status.aio.from_call(self.call)
        if status is None:
            return code, ""
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.domain == "forefill"
        plain = dict(await self.call.trailing_metadata())
        assert plain["forefill-error-reason"] == info.reason
        return code, info.reason

    async def still_works(self) -> None:
        """Take a whole turn."""
        assert (await self.submit("Is it so?")).finished.usage.completion_tokens > 0


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(context_tokens=400)


@pytest.fixture
async def server(engine: FakeEngine) -> AsyncIterator[RunningServer]:
    settings = Settings(
        port=0,
        metrics_port=-1,
        stop_grace_seconds=0,
        write_timeout_seconds=0.5,
        max_draft_code_points=200,
        max_sessions=MAX_SESSIONS,
    )
    async with running_server([engine], settings) as running:
        yield running


@pytest.fixture
async def wire(server: RunningServer) -> AsyncIterator[Wire]:
    wire = Wire(server.address)
    yield wire
    await wire.channel.close()


@pytest.fixture
async def bystander(server: RunningServer) -> AsyncIterator[Wire]:
    """Another session of the same server; at the end it must still work."""
    other = Wire(server.address)
    await other.open()
    yield other
    await other.still_works()
    await other.channel.close()


async def test_an_event_before_open_ends_the_stream(wire: Wire, bystander: Wire) -> None:
    await wire.type("a")
    assert await wire.status() == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_OPEN")


async def test_an_empty_message_before_open_ends_the_stream(wire: Wire, bystander: Wire) -> None:
    await wire.write(pb.ComposeRequest())
    assert await wire.status() == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_OPEN")


async def test_bytes_that_are_no_message_end_the_stream(server: RunningServer, bystander: Wire) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        compose: Any = channel.stream_stream(
            "/forefill.v1.KeystrokeService/Compose", None, pb.ComposeResponse.FromString
        )
        wire = Wire(server.address)
        wire.call = compose()
        not_utf8 = pb.ComposeRequest(open=pb.Open(draft="??")).SerializeToString().replace(b"??", b"\xff\xfe")
        await wire.call.write(not_utf8)
        assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
        await wire.channel.close()


async def test_a_second_open_is_refused_and_ignored(wire: Wire) -> None:
    await wire.open()
    await wire.write(pb.ComposeRequest(open=pb.Open(session_key="not valid!")))
    assert (await wire.error()).reason == pb.ERROR_REASON_ALREADY_OPEN
    await wire.still_works()


async def test_an_event_without_a_kind_is_refused_and_ignored(wire: Wire) -> None:
    await wire.open()
    seq = await wire.event()
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_EVENT_MISSING, seq)
    await wire.still_works()


async def test_a_number_that_goes_back_is_refused_and_ignored(wire: Wire) -> None:
    await wire.open()
    await wire.type("Show")
    await wire.numbered(1, char_add=pb.CharAdd(text="x"))
    error = await wire.error()
    assert (error.reason, error.seq, error.draft_code_points) == (pb.ERROR_REASON_SEQUENCE_REPEATED, 1, 4)
    await wire.still_works()


async def test_a_number_that_jumps_is_reported(wire: Wire) -> None:
    await wire.open()
    await wire.numbered(7, char_add=pb.CharAdd(text="Show"))
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_SEQUENCE_GAP, 7)
    wire.draft = "Show"  # the event was carried out
    wire._seq = 7
    assert (await wire.flush()).confirmed_code_points == 0
    await wire.still_works()


async def test_a_replace_outside_the_draft_is_refused_and_ignored(wire: Wire) -> None:
    await wire.open(draft="Show")
    seq = await wire.event(replace=pb.Replace(start=3, end=9, text="x"))
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_POSITION_OUT_OF_RANGE, seq)
    assert error.draft_code_points == 4
    await wire.still_works()


async def test_deleting_in_an_empty_draft_does_nothing(wire: Wire) -> None:
    await wire.open()
    await wire.event(char_delete=pb.CharDelete(count=5))
    await wire.flush()
    await wire.still_works()


async def test_a_draft_that_diverged_is_not_warmed_and_can_be_repaired(wire: Wire, engine: FakeEngine) -> None:
    await wire.open()
    await wire.type("Show me ")
    wire.draft = "List me "
    seq = await wire.send_flush()
    error = await wire.error()
    assert (error.reason, error.seq, error.draft_code_points) == (pb.ERROR_REASON_DRAFT_DIVERGED, seq, 8)
    await wire.replace(0, error.draft_code_points, DRAFT)
    result = await wire.flush()
    assert result.outcome == pb.FLUSH_OUTCOME_WARMED
    assert result.confirmed_code_points == len(DRAFT)


async def test_a_draft_over_the_limit_is_refused_and_ignored(wire: Wire) -> None:
    opened = await wire.open()
    await wire.type("x" * (opened.limits.max_draft_code_points + 1))
    assert (await wire.error()).reason == pb.ERROR_REASON_DRAFT_TOO_LONG
    await wire.event(submit=pb.Submit(text="x" * 201))
    assert (await wire.error()).reason == pb.ERROR_REASON_DRAFT_TOO_LONG
    await wire.still_works()


async def test_a_draft_over_the_limit_at_open_ends_the_stream(wire: Wire) -> None:
    await wire.write(pb.ComposeRequest(open=pb.Open(draft="x" * 201)))
    assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "DRAFT_TOO_LONG")


async def test_a_message_over_the_limit_ends_the_stream(wire: Wire, bystander: Wire) -> None:
    await wire.open()
    await wire.type("x" * 5_000_000)
    assert (await wire.status())[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_submit_of_nothing_is_refused_and_ignored(wire: Wire) -> None:
    await wire.open()
    await wire.event(submit=pb.Submit())
    assert (await wire.error()).reason == pb.ERROR_REASON_EMPTY_SUBMIT
    await wire.still_works()


async def test_invalid_sampling_ends_the_stream(wire: Wire, bystander: Wire) -> None:
    await wire.write(pb.ComposeRequest(open=pb.Open(sampling=pb.Sampling(temperature=9))))
    assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SAMPLING")


async def test_a_base_prompt_longer_than_the_context_ends_the_stream(wire: Wire, bystander: Wire) -> None:
    long = pb.ChatMessage(role="system", content="word " * 500)
    await wire.write(pb.ComposeRequest(open=pb.Open(messages=[long])))
    assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "PROMPT_TOO_LONG")


async def test_a_prompt_longer_than_the_context_is_refused_and_the_turn_goes_on(
    server: RunningServer, wire: Wire
) -> None:
    long = pb.ChatMessage(role="system", content="word " * 350)
    await wire.write(pb.ComposeRequest(open=pb.Open(messages=[long])))
    await wire.read()
    seq = await wire.event(submit=pb.Submit(text="a b c d e f " * 10))
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_PROMPT_TOO_LONG, seq)
    assert "of 400" in error.message
    await wire.still_works()


async def test_a_submit_while_an_answer_runs_is_refused(wire: Wire, server: RunningServer, engine: FakeEngine) -> None:
    gate = asyncio.Event()

    async def work(seconds: float) -> None:
        await gate.wait()

    await wire.open()
    await wire.flush()  # the base prompt is warm
    engine.sleep = work
    await wire.event(submit=pb.Submit(text="Show me"))
    seq = await wire.event(submit=pb.Submit(text="Show me more"))
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_GENERATION_RUNNING, seq)
    gate.set()
    await wire.answer()
    await wire.still_works()


async def test_an_engine_that_refuses_a_warm_costs_speed_alone(wire: Wire, engine: FakeEngine) -> None:
    engine.faults.refuse = {Priority.WARM: 100}
    await wire.open()
    await wire.type(DRAFT)
    assert (await wire.flush()).outcome == pb.FLUSH_OUTCOME_SHED
    finished = (await wire.submit()).finished
    assert finished.usage.cached_tokens == 0
    assert finished.ledger.computed_tokens == finished.ledger.abandoned_tokens > 0


async def test_an_engine_that_refuses_a_generation_can_be_asked_again(wire: Wire, engine: FakeEngine) -> None:
    engine.faults.refuse = {Priority.GENERATION: 1}
    await wire.open()
    seq = await wire.event(submit=pb.Submit(text="Show me"))
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_GENERATION_FAILED, seq)
    assert "queue is full" in error.message
    await wire.still_works()


async def test_an_engine_that_dies_ends_the_streams(wire: Wire, engine: FakeEngine, server: RunningServer) -> None:
    await wire.open()
    await wire.flush()
    engine.faults.dead = True
    await wire.event(submit=pb.Submit(text="Show me"))
    assert await wire.status() == (grpc.StatusCode.UNAVAILABLE, "ENGINE_UNAVAILABLE")
    assert server.servicer.engine_died.is_set()


async def test_events_after_end_are_ignored_and_the_answer_still_comes(wire: Wire, engine: FakeEngine) -> None:
    gate = asyncio.Event()

    async def work(seconds: float) -> None:
        await gate.wait()

    await wire.open()
    await wire.flush()
    engine.sleep = work
    await wire.event(submit=pb.Submit(text="Show me"))
    await wire.event(end=pb.End())
    await wire.type("x")
    assert (await wire.error()).reason == pb.ERROR_REASON_SESSION_ENDED
    await wire.call.done_writing()
    gate.set()
    await wire.answer()
    assert await wire.status() == (grpc.StatusCode.OK, "")


async def test_the_end_of_the_stream_without_end_is_an_abort(wire: Wire, engine: FakeEngine) -> None:
    started = asyncio.Event()

    async def work(seconds: float) -> None:
        started.set()
        await asyncio.Event().wait()

    await wire.open()
    await wire.flush()
    engine.sleep = work
    await wire.event(submit=pb.Submit(text="Show me"))
    async with asyncio.timeout(30):
        await started.wait()
    await wire.call.done_writing()
    assert await wire.status() == (grpc.StatusCode.CANCELLED, "ABORTED")
    assert engine.aborted == 1, "the answer was stopped"


async def test_a_client_that_goes_away_stops_its_answer(wire: Wire, engine: FakeEngine, bystander: Wire) -> None:
    started, gate = asyncio.Event(), asyncio.Event()

    async def work(seconds: float) -> None:
        started.set()
        await gate.wait()

    await wire.open()
    await wire.flush()
    engine.sleep = work
    await wire.event(submit=pb.Submit(text="Show me"))
    async with asyncio.timeout(30):
        await started.wait()
        wire.call.cancel()
        while not engine.aborted:  # noqa: ASYNC110 - the engine knows no events
            await asyncio.sleep(0.01)
    gate.set()


async def test_more_sessions_than_the_server_takes_are_refused(server: RunningServer) -> None:
    wires = []
    for _ in range(MAX_SESSIONS):
        wires.append(Wire(server.address))
        await wires[-1].open()
    refused = Wire(server.address)
    assert await refused.status() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SESSIONS")
    await wires[0].still_works()
    for wire in (*wires, refused):
        await wire.channel.close()


async def test_a_defect_reaches_the_client_as_an_id_and_not_as_text(
    wire: Wire, engine: FakeEngine, bystander: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(text: str) -> list[int]:
        raise ValueError("secret text")

    encode = engine.chat.encode
    engine.chat.encode = broken  # type: ignore[method-assign]
    await wire.write(pb.ComposeRequest(open=pb.Open()))
    assert await wire.status() == (grpc.StatusCode.INTERNAL, "INTERNAL")
    error_id = dict(await wire.call.trailing_metadata())["forefill-error-id"]
    assert error_id in caplog.text
    assert "secret text" not in await wire.call.details()
    engine.chat.encode = encode  # type: ignore[method-assign]


async def test_nothing_typed_is_logged(wire: Wire, engine: FakeEngine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await wire.open()
    await wire.type("Zyzzyva is my password ")
    wire.draft = "Zyzzyva is my passwort "
    await wire.send_flush()
    message = (await wire.error()).message
    await wire.event(replace=pb.Replace(start=90, end=91, text="Zyzzyva"))
    message += (await wire.error()).message
    await wire.event(submit=pb.Submit())
    await wire.answer()
    assert "Zyzzyva" not in caplog.text + message
