"""Engines that fail and clients that go away: the stream ends with a status, or goes on."""

import asyncio

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine import FakeEngine, Priority
from forefill_service.server import RunningServer

from tests.support.stage import settle
from tests.support.wire import SECONDS_TO_GIVE_UP, Wire
from tests.support.work import Work

DRAFT = "Show me all the patients that were seen by a doctor in the last year, and say when "


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


async def test_the_end_of_the_stream_without_end_is_an_abort(wire: Wire, work: Work, engine: FakeEngine) -> None:
    await wire.open()
    await wire.flush()
    work.held = True
    await wire.event(submit=pb.Submit(text="Show me"))
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        await work.waits.wait()
    await wire.call.done_writing()
    assert await wire.status() == (grpc.StatusCode.CANCELLED, "ABORTED")
    assert engine.aborted == 1, "the answer was stopped"


async def test_a_client_that_goes_away_stops_its_answer(
    wire: Wire, work: Work, engine: FakeEngine, bystander: Wire
) -> None:
    await wire.open()
    await wire.flush()
    work.held = True
    await wire.event(submit=pb.Submit(text="Show me"))
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        await work.waits.wait()
        wire.call.cancel()
        await work.cancelled.wait()
    await settle()
    assert engine.aborted == 1
    work.go_on()
