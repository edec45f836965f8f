"""Health on a port of its own: what each probe is told of a server that starts, works, drains, hangs or has died."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from forefill_service.chat.generation import Output
from forefill_service.engine import EngineLoad, FakeEngine, Request
from forefill_service.errors import EngineDied
from forefill_service.server import ListenError, running_server
from forefill_service.wire.health import MOST_WATCHES
from forefill_service.wire.servicer import SERVICE_NAME
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.served import SECONDS_TO_GIVE_UP, SETTINGS, TEXT, changed, served, until
from tests.support.wire import error_reason, retry_seconds, typing_at

WITH_HEALTH = changed(SETTINGS, health_port=0)
PROBES = ("startup", "readiness", "liveness")
YES, NO = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def stub_at(address: str) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(address) as channel:
        yield health_pb2_grpc.HealthStub(channel)


async def statuses(address: str, *names: str) -> list[int]:
    """Return the status of startup, readiness and liveness, or of these names."""
    async with stub_at(address) as stub:
        asked = [health_pb2.HealthCheckRequest(service=name) for name in names or PROBES]
        return [(await stub.Check(request, timeout=SECONDS_TO_GIVE_UP)).status for request in asked]


# --- what each probe is told


async def test_a_server_that_works_is_serving_under_every_name_on_both_ports() -> None:
    async with served(settings=WITH_HEALTH) as server:
        for address in (server.running.health_address, server.address):
            assert await statuses(address, "", SERVICE_NAME, *PROBES) == [YES] * 5
        assert server.running.health_address != server.address


async def test_a_busy_server_is_serving() -> None:
    async with served(settings=changed(WITH_HEALTH, max_sessions=1)) as server, typing_at(server.address) as typist:
        server.gate.held = True
        await typist.send_submit(TEXT)
        await until(lambda: server.gate.waiting)
        server.engine.load = EngineLoad(running=100, waiting=1000, cache_usage=1)
        assert await statuses(server.running.health_address) == [YES, YES, YES]


async def test_while_the_engines_are_tested_it_lives_and_has_not_started() -> None:
    class Slow(FakeEngine):
        tested = asyncio.Event()

        async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
            await self.tested.wait()
            async for output in super().generate(request):
                yield output

    engine, ends = Slow(), asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def serve() -> None:
        async with running_server([engine], changed(SETTINGS, health_port=port)):
            await ends.wait()

    async with asyncio.timeout(SECONDS_TO_GIVE_UP), asyncio.TaskGroup() as group:
        group.create_task(serve())
        async with stub_at(f"127.0.0.1:{port}") as stub:
            await stub.Check(health_pb2.HealthCheckRequest(service="liveness"), wait_for_ready=True)
            assert await statuses(f"127.0.0.1:{port}") == [NO, NO, YES]
            watch = stub.Watch(health_pb2.HealthCheckRequest(service="startup"))
            assert (await watch.read()).status == NO
            engine.tested.set()
            assert (await watch.read()).status == YES
        ends.set()


async def test_without_an_engine_it_is_not_ready_and_a_restart_would_not_help() -> None:
    async with served(settings=WITH_HEALTH) as server, stub_at(server.running.health_address) as stub:
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="readiness"))
        assert (await watch.read()).status == YES
        server.engine.faults.down = True
        assert (await watch.read()).status == NO
        assert await statuses(server.running.health_address) == [YES, NO, YES]
        server.engine.faults.down = False
        assert (await watch.read()).status == YES


async def test_while_it_drains_it_is_not_ready_and_lives() -> None:
    async with served(settings=WITH_HEALTH) as server, typing_at(server.address) as typist:
        server.gate.held = True
        await typist.send_submit(TEXT)
        await until(lambda: server.gate.waiting)
        stopping = server.begins_to_stop()
        async with stub_at(server.running.health_address) as stub:
            watch = stub.Watch(health_pb2.HealthCheckRequest(service="readiness"))
            while (await watch.read()).status != NO:
                pass
            assert await statuses(server.running.health_address) == [YES, NO, YES]
            server.gate.open()
            await typist.answer()
            assert await watch.read() is grpc.aio.EOF, "a watcher holds up nothing"
        await stopping


class Dying(FakeEngine):
    """An engine that is found dead, or to hang for good, once `dies` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.dies = asyncio.Event()

    async def watch(self) -> None:
        await self.dies.wait()
        raise EngineDied("vLLM's engine process has not answered for 10 s")


async def test_a_server_whose_engine_has_died_or_hangs_does_not_live() -> None:
    engine = Dying()
    async with served(engine, WITH_HEALTH) as server:
        engine.dies.set()
        await server.running.servicer.engine_died.wait()
        assert await statuses(server.running.health_address) == [YES, NO, NO]
        assert server.sample("engine_died") == 1


async def test_a_server_whose_background_task_has_failed_does_not_live() -> None:
    class Panic(BaseException):
        """No Exception, so whatever takes precautions against those lets it through."""

    class Panicking(Dying):
        async def watch(self) -> None:
            await self.dies.wait()
            raise Panic

    engine = Panicking()
    async with served(engine, WITH_HEALTH) as server:
        engine.dies.set()
        await server.running.background_failed.wait()
        assert await statuses(server.running.health_address) == [YES, NO, NO]


async def test_a_server_whose_event_loop_hangs_answers_no_probe() -> None:
    hangs_until = threading.Event()

    def probe(address: str) -> grpc.StatusCode:
        try:
            with grpc.insecure_channel(address) as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                stub.Check(health_pb2.HealthCheckRequest(service="liveness"), timeout=0.5)
                return grpc.StatusCode.OK
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        finally:
            hangs_until.set()

    async with served(settings=WITH_HEALTH) as server:
        probing = asyncio.get_running_loop().run_in_executor(None, probe, server.running.health_address)
        hangs_until.wait(SECONDS_TO_GIVE_UP)
        assert await probing is grpc.StatusCode.DEADLINE_EXCEEDED
        assert await statuses(server.running.health_address) == [YES, YES, YES], "it goes on"


# --- bounds


@pytest.mark.parametrize("port", ["health", "main"])
async def test_watch_streams_are_bounded_and_one_more_is_refused_with_a_reason(port: str) -> None:
    async with served(settings=WITH_HEALTH) as server:
        address = server.running.health_address if port == "health" else server.address
        async with stub_at(address) as stub:
            request = health_pb2.HealthCheckRequest(service="readiness")
            watches = [stub.Watch(request) for _ in range(MOST_WATCHES)]
            for watch in watches:
                assert (await watch.read()).status == YES
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.Watch(request).read()
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert error_reason(refused.value) == "RATE_LIMITED"
            assert retry_seconds(refused.value) >= 1
            assert await statuses(address) == [YES, YES, YES], "probes do not watch"
            watches.pop().cancel()

            async def watched() -> bool:
                another = stub.Watch(request)
                try:
                    return bool(await another.read())
                except grpc.aio.AioRpcError:
                    return False

            while not await watched():
                pass


async def test_watch_streams_of_the_main_port_take_no_place_on_the_health_port() -> None:
    async with served(settings=WITH_HEALTH) as server, stub_at(server.address) as main:
        request = health_pb2.HealthCheckRequest(service="liveness")
        watches = [main.Watch(request) for _ in range(MOST_WATCHES)]
        for watch in watches:
            await watch.read()
        async with stub_at(server.running.health_address) as health:
            assert (await health.Watch(request).read()).status == YES


async def test_a_watcher_is_told_of_changes_alone() -> None:
    async with served(settings=WITH_HEALTH) as server, stub_at(server.running.health_address) as stub:
        lives = stub.Watch(health_pb2.HealthCheckRequest(service="liveness"))
        ready = stub.Watch(health_pb2.HealthCheckRequest(service="readiness"))
        assert [(await watch.read()).status for watch in (lives, ready)] == [YES, YES]
        server.engine.faults.down = True
        assert (await ready.read()).status == NO
        await server.begins_to_stop()
        assert await lives.read() is grpc.aio.EOF


# --- where it listens


async def test_the_port_may_be_disabled() -> None:
    async with served(settings=changed(SETTINGS, health_port=-1)) as server:
        assert server.running.health_address == ""


async def test_it_may_have_an_address_of_its_own() -> None:
    async with served(settings=changed(WITH_HEALTH, health_host="127.0.0.2")) as server:
        assert server.address.startswith("127.0.0.1:")
        assert server.running.health_address.startswith("127.0.0.2:")
        assert await statuses(server.running.health_address) == [YES, YES, YES]


async def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = changed(SETTINGS, health_port=taken.getsockname()[1])
        with pytest.raises(ListenError, match=r"for the health service; choose another with --health-port"):
            async with running_server([FakeEngine()], settings):
                pass
