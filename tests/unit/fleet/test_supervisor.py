"""Engines that come and go under one server. Whatever waits for time to pass waits for the test instead."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest
from forefill_service.cache.blocks import CacheChange
from forefill_service.engine import Engine, FakeEngine, Output, Request
from forefill_service.engine.http.remote import connect
from forefill_service.errors import EngineDied, EngineStartError
from forefill_service.fleet.replicas import Replica
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.fake_vllm import fake_vllm
from tests.support.remote_engine import remote_engine, remote_settings
from tests.support.stage import Gate

SETTINGS = Settings(port=0, metrics_port=-1)
WAIT_SECONDS = 20
"""None of these tests takes long; one that hangs fails."""
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True)
class Supervised:
    """A running server, and the gate at which its background tasks wait."""

    server: RunningServer
    gate: Gate

    @property
    def replicas(self) -> list[Replica]:
        return list(self.server.backend.replicas.all)

    @property
    def ready(self) -> list[bool]:
        return [replica.ready for replica in self.replicas]

    async def looks_until(self, condition: Callable[[], bool]) -> None:
        """Let the background tasks look again and again until a condition holds."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():
                for index in range(len(self.gate.waiting)):
                    self.gate.step(index)
                await asyncio.sleep(0)


@asynccontextmanager
async def supervised(*engines: Engine, settings: Settings = SETTINGS) -> AsyncIterator[Supervised]:
    gate = Gate()
    gate.held = True
    async with running_server(engines, settings, sleep=gate) as server:
        yield Supervised(server, gate)


def two_engines() -> list[FakeEngine]:
    return [FakeEngine(name=name) for name in ("one", "two")]


async def test_an_engine_that_is_away_at_the_start_joins_when_it_comes() -> None:
    one, two = two_engines()
    two.faults.down = True
    async with supervised(one, two) as running:
        assert running.ready == [True, False]
        two.faults.down = False
        await running.looks_until(lambda: running.ready == [True, True])
        assert two.requests, "it was tested before it was used"


async def test_what_an_engine_can_do_is_known_of_each() -> None:
    async with supervised(FakeEngine(name="one"), FakeEngine(name="two", cache_blocks=0)) as running:
        reasons = [replica.inert_reason for replica in running.replicas]
        assert reasons[0] == ""
        assert "found 0 of" in reasons[1]


async def test_a_server_that_comes_back_with_other_flags_is_tested_anew(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", logger="forefill_service.fleet.supervisor")
    async with (
        fake_vllm() as server,
        remote_engine(server) as engine,
        supervised(engine, settings=remote_settings(server.url)) as running,
    ):
        [replica], port = running.replicas, server.port
        assert not replica.inert
        for cache_blocks in (0, 4096):
            await server.stop()
            await engine.monitor.probe()
            assert not replica.up
            server.engine = FakeEngine(cache_blocks=cache_blocks)
            await server.start(port)
            await engine.monitor.probe()
            await running.looks_until(lambda inert=cache_blocks == 0: replica.inert is inert)  # type: ignore[misc]
    assert len([line for line in caplog.messages if "warming is inert" in line]) == 1, "said once"


class Restarting(FakeEngine):
    """An engine that another one replaces when it restarts."""

    def __init__(self, successor: FakeEngine) -> None:
        super().__init__()
        self.restarts = asyncio.Event()
        self._successor = successor

    def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        return self._successor.generate(request) if self.restarts.is_set() else super().generate(request)

    async def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        await self.restarts.wait()
        yield CacheChange(cleared=True)


async def test_one_that_comes_up_anew_and_is_lost_in_its_test_is_tested_again() -> None:
    successor = FakeEngine(cache_blocks=0)
    engine = Restarting(successor)
    async with supervised(engine) as running:
        successor.faults.busy = 1
        engine.restarts.set()
        await running.looks_until(lambda: running.replicas[0].inert)
        assert successor.faults.busy == 0


async def test_with_no_engine_there_is_nothing_to_serve() -> None:
    one, two = two_engines()
    one.faults.down = two.faults.down = True
    with pytest.raises(EngineStartError, match="does not answer"):
        async with supervised(one, two):
            pass


async def test_health_tells_those_who_watch_when_the_last_engine_goes_and_when_one_comes_back() -> None:
    one, two = two_engines()
    async with (
        supervised(one, two) as running,
        grpc.aio.insecure_channel(running.server.address) as channel,
        asyncio.timeout(WAIT_SECONDS),
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]

        async def told_next() -> int:
            reading = asyncio.ensure_future(watch.read())
            await running.looks_until(reading.done)
            return int((await reading).status)

        assert await told_next() == SERVING
        one.faults.down = True
        two.faults.down = True
        assert await told_next() == NOT_SERVING
        two.faults.down = False
        assert await told_next() == SERVING
        watch.cancel()


async def test_an_engine_that_dies_for_good_ends_the_server() -> None:
    class Mortal(FakeEngine):
        dies = asyncio.Event()

        async def watch(self) -> None:
            await self.dies.wait()
            raise EngineDied("the engine is dead")

    engine = Mortal()
    async with supervised(engine) as running, asyncio.timeout(WAIT_SECONDS):
        engine.dies.set()
        await running.server.servicer.engine_died.wait()


async def test_whatever_goes_wrong_in_watching_one_engine_the_others_are_watched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Odd(FakeEngine):
        async def watch(self) -> None:
            raise KeyError("odd")

    one, two = Odd(name="one"), FakeEngine(name="two")
    two.faults.down = True
    async with supervised(one, two) as running:
        two.faults.down = False
        await running.looks_until(lambda: running.ready == [True, True])
    assert "watching one failed" in caplog.text


async def test_where_no_server_answers_the_start_is_given_up_with_one_line() -> None:
    async with fake_vllm() as server:
        url = server.url
    with pytest.raises(EngineStartError, match="no engine answers: no connection to http") as caught:
        await connect(remote_settings(url, engine_wait_seconds=0))
    assert "\n" not in str(caught.value)
