"""What a server does about engines that come and go."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import grpc
import pytest
from forefill_service.cache.blocks import CacheChange
from forefill_service.engine import FakeEngine
from forefill_service.engine.http.remote import connect
from forefill_service.errors import EngineStartError
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.fake_vllm import fake_vllm, remote_engine, remote_settings

SETTINGS = Settings(port=0, metrics_port=-1)
WAIT_SECONDS = 20
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def two_engines() -> list[FakeEngine]:
    return [FakeEngine(name=name) for name in ("one", "two")]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 (engines are looked at now and then)
            await asyncio.sleep(0.01)


def ready(server: RunningServer) -> list[bool]:
    return [replica.ready for replica in server.backend.replicas.all]


async def test_an_engine_that_is_away_at_the_start_joins_when_it_comes() -> None:
    one, two = two_engines()
    two.faults.down = True
    async with running_server([one, two], SETTINGS) as server:
        assert ready(server) == [True, False]
        two.faults.down = False
        await until(lambda: ready(server) == [True, True])
        assert two.requests, "it was tested before it was used"


async def test_what_an_engine_can_do_is_known_of_each() -> None:
    one, two = FakeEngine(name="one"), FakeEngine(name="two", cache_blocks=0)
    async with running_server([one, two], SETTINGS) as server:
        reasons = [replica.inert_reason for replica in server.backend.replicas.all]
        assert reasons[0] == ""
        assert "found 0 of" in reasons[1]


async def test_a_server_that_comes_back_with_other_flags_is_tested_anew(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", logger="forefill_service.fleet.supervisor")
    async with (
        fake_vllm() as server,
        remote_engine(server) as engine,
        running_server([engine], remote_settings(server.url)) as running,
    ):
        replica, port = running.backend.replicas.all[0], server.port
        assert not replica.inert
        for cache_blocks in (0, 4096):
            await server.stop()
            await until(lambda: not replica.up)
            server.engine = FakeEngine(cache_blocks=cache_blocks)
            await server.start(port)
            await until(lambda inert=cache_blocks == 0: replica.inert is inert)  # type: ignore[misc]
    assert len([line for line in caplog.messages if "warming is inert" in line]) == 1, "said once"


async def test_one_that_comes_up_anew_and_is_lost_in_its_test_is_tested_again() -> None:
    class Restarting(FakeEngine):
        anew = asyncio.Event()

        async def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
            await self.anew.wait()
            yield CacheChange(cleared=True)

    engine = Restarting()
    async with running_server([engine], SETTINGS) as server:
        engine.faults.busy = 1
        engine.pool.blocks = 0  # prefix caching off
        engine.anew.set()
        await until(lambda: server.backend.replicas.all[0].inert)
        assert engine.faults.busy == 0


async def test_with_no_engine_there_is_nothing_to_serve() -> None:
    one, two = two_engines()
    one.faults.down = two.faults.down = True
    with pytest.raises(EngineStartError, match="does not answer"):
        async with running_server([one, two], SETTINGS):
            pass


async def test_health_tells_those_who_watch_when_the_last_engine_goes_and_when_one_comes_back() -> None:
    one, two = two_engines()
    async with (
        running_server([one, two], SETTINGS) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        asyncio.timeout(WAIT_SECONDS),
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]
        assert (await watch.read()).status == SERVING
        one.faults.down = True
        two.faults.down = True
        assert (await watch.read()).status == NOT_SERVING
        two.faults.down = False
        assert (await watch.read()).status == SERVING
        watch.cancel()


async def test_an_engine_that_dies_for_good_ends_the_server() -> None:
    class Mortal(FakeEngine):
        async def watch(self) -> None:
            while True:
                await asyncio.sleep(0.01)
                self.faults.raise_if_lost()

    engine = Mortal()
    async with running_server([engine], SETTINGS) as server:
        engine.faults.dead = True
        async with asyncio.timeout(WAIT_SECONDS):
            await server.servicer.engine_died.wait()


async def test_whatever_goes_wrong_in_watching_one_engine_the_others_are_watched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Odd(FakeEngine):
        async def watch(self) -> None:
            raise KeyError("odd")

    one, two = Odd(name="one"), FakeEngine(name="two")
    two.faults.down = True
    async with running_server([one, two], SETTINGS) as server:
        two.faults.down = False
        await until(lambda: ready(server) == [True, True])
    assert "watching one failed" in caplog.text


async def test_where_no_server_answers_the_start_is_given_up_with_one_line() -> None:
    async with fake_vllm() as server:
        url = server.url
    with pytest.raises(EngineStartError, match="no engine answers: no connection to http") as caught:
        await connect(remote_settings(url, engine_wait_seconds=0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"engine": "remote"}, "belong together"),
        ({"engine": "remote", "engine_url": ["10.0.0.7:8000"]}, "http://HOST:PORT"),
        ({"engine": "remote", "engine_url": ["http://me:secret@host"]}, "FOREFILL_ENGINE_API_KEY"),
        ({"engine_url": ["http://a"]}, "belong together"),
        ({"engine": "remote", "engine_url": ["http://a", "http://b"], "router": True}, "one --engine-url"),
        ({"engine": "remote", "engine_url": ["http://a"], "router": True, "data_parallel_size": 2}, "knows nothing of"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Settings(**wrong)
