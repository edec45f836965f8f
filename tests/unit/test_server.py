"""A whole server in this process, on the fake engine: the services beside its sessions, and its stop."""

import asyncio
import urllib.request
from typing import Any

import grpc
import pytest
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_service.engine import FakeEngine
from forefill_service.errors import EngineDied, EngineStartError
from forefill_service.server import ListenError, running_server, serve
from forefill_service.wire.servicer import SERVICE_NAME
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.served import SECONDS_TO_GIVE_UP, SETTINGS, TEXT, Aborted, Context, changed, ended_by, served, until
from tests.support.wire import Typist, error_reason, retry_seconds, typing_at

# --- beside the sessions


async def test_the_health_service_serves_the_server_and_the_service() -> None:
    async with served() as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE_NAME):
            response = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_health_service_knows_no_other_name() -> None:
    async with served() as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Check(health_pb2.HealthCheckRequest(service="other"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="other"))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


async def test_watchers_of_health_are_told_of_the_stop_and_do_not_hold_it_up() -> None:
    async with served() as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE_NAME)) for _ in range(3)]
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watches.pop().cancel()  # of one that leaves the others take no notice
        await server.begins_to_stop()
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert await watch.read() is grpc.aio.EOF


async def test_health_says_that_the_server_stops_while_an_answer_runs() -> None:
    async with served() as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE_NAME))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        async with typing_at(server.address) as typist:
            server.gate.held = True
            await typist.send_submit(TEXT)
            await until(lambda: server.gate.waiting)
            stopping = server.begins_to_stop()
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            server.gate.open()
            await typist.answer()
        await stopping


async def test_reflection_describes_the_service() -> None:
    def described(address: str) -> list[str]:
        with grpc.insecure_channel(address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            file = database.FindFileContainingSymbol(SERVICE_NAME)
            return [method.name for method in file.service[0].method]

    async with served() as server:
        assert await asyncio.to_thread(described, server.address) == ["Compose"]


async def test_the_metrics_page_counts_and_holds_nothing_typed() -> None:
    def page(address: str) -> str:
        with urllib.request.urlopen(f"http://{address}/metrics") as response:
            return str(response.read().decode())

    async with served(settings=changed(SETTINGS, metrics_port=0)) as server:
        async with typing_at(server.address, [("system", "Zyzzyva")], session_key="zyzzyva-1") as typist:
            await typist.type("Zyzzyva is my password ")
            await typist.flush()
            answer = await typist.submit()
            text = await asyncio.to_thread(page, server.running.metrics_address)
        assert "forefill_sessions 1.0" in text
        assert 'forefill_generations_total{source="cold"} 1.0' in text
        assert "zyzzyva" not in text.lower()
        assert answer.text not in text


# --- the stop


async def test_a_composing_session_is_told_at_once_that_the_server_stops() -> None:
    async with served() as server, typing_at(server.address) as typist:
        await typist.type(TEXT)
        await typist.flush()
        stopping = server.begins_to_stop()
        error = await ended_by(typist)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert error_reason(error) == "SERVER_STOPPING"
        assert retry_seconds(error) > 0
        await stopping


async def test_a_session_is_told_that_the_server_stops_and_served_until_it_goes() -> None:
    async with (
        served(settings=changed(SETTINGS, go_away_seconds=SECONDS_TO_GIVE_UP)) as server,
        typing_at(server.address) as typist,
    ):
        await typist.type(TEXT)
        stopping = server.begins_to_stop()
        assert (await typist.read()).go_away.within_ms == SECONDS_TO_GIVE_UP * 1000
        async with grpc.aio.insecure_channel(server.address) as channel:
            other = KeystrokeServiceStub(channel).Compose(wait_for_ready=False)
            assert await other.code() is grpc.StatusCode.UNAVAILABLE
        assert (await typist.submit()).finished.usage.completion_tokens > 0
        await typist.end()
        await stopping


async def test_a_session_that_does_not_go_away_is_ended() -> None:
    async with served(settings=changed(SETTINGS, go_away_seconds=0.05)) as server, typing_at(server.address) as typist:
        await typist.type(TEXT)
        stopping = server.begins_to_stop()
        assert (await typist.read()).HasField("go_away")
        assert error_reason(await ended_by(typist)) == "SERVER_STOPPING"
        await stopping


async def test_a_stream_that_has_not_opened_is_told_at_once_that_the_server_stops() -> None:
    async with served() as server, grpc.aio.insecure_channel(server.address) as channel:
        typist = Typist(KeystrokeServiceStub(channel).Compose())
        await until(lambda: server.running.servicer.streams == 1)
        stopping = server.begins_to_stop()
        assert error_reason(await ended_by(typist)) == "SERVER_STOPPING"
        await stopping
        await until(lambda: server.running.servicer.streams == 0)


async def test_a_stream_that_opens_as_the_server_stops_is_told_so() -> None:
    async with served() as server:
        context: Any = Context(before_open=server.running.servicer.stop)
        with pytest.raises(Aborted):
            await server.running.servicer.Compose(context, context)
        assert context.code is grpc.StatusCode.UNAVAILABLE


async def test_a_running_answer_finishes_and_then_its_session_is_told() -> None:
    async with served() as server, typing_at(server.address) as typist, typing_at(server.address) as idle:
        server.gate.held = True
        await typist.send_submit(TEXT)
        await until(lambda: server.gate.waiting)
        stopping = server.begins_to_stop()
        assert error_reason(await ended_by(idle)) == "SERVER_STOPPING"
        assert not stopping.done()
        server.gate.open()
        assert (await typist.answer()).finished.usage.completion_tokens == 1
        assert error_reason(await ended_by(typist)) == "SERVER_STOPPING"
        await stopping


async def test_an_answer_that_outlasts_the_grace_is_stopped() -> None:
    settings = changed(SETTINGS, stop_grace_seconds=0)
    async with served(settings=settings) as server, typing_at(server.address) as typist:
        server.gate.held = True
        await typist.send_submit(TEXT)
        await until(lambda: server.gate.waiting)
        stopping = server.begins_to_stop()
        error = await ended_by(typist)
        assert (error.code(), error_reason(error)) == (grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING")
        await stopping
        await until(lambda: server.engine.aborted)


async def test_who_is_in_a_hurry_waits_for_no_answer() -> None:
    settings, hurry = changed(SETTINGS, stop_grace_seconds=SECONDS_TO_GIVE_UP), asyncio.Event()
    async with served(settings=settings, hurry=hurry) as server, typing_at(server.address) as typist:
        server.gate.held = True
        await typist.send_submit(TEXT)
        await until(lambda: server.gate.waiting)
        stopping = server.begins_to_stop()
        hurry.set()
        assert error_reason(await ended_by(typist)) == "SERVER_STOPPING"
        await stopping


async def test_a_stream_of_reflection_does_not_hold_up_the_stop() -> None:
    settings = changed(SETTINGS, go_away_seconds=SECONDS_TO_GIVE_UP, stop_grace_seconds=SECONDS_TO_GIVE_UP)
    async with served(settings=settings) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = reflection_pb2_grpc
        info = stub.ServerReflectionStub(channel).ServerReflectionInfo()
        await info.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await info.read()
        await server.begins_to_stop()


class Dying(FakeEngine):
    """An engine that is found dead once `dies` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.dies = asyncio.Event()

    async def watch(self) -> None:
        await self.dies.wait()
        raise EngineDied("it hangs")


async def test_when_the_engine_has_died_everybody_is_told_that_at_once() -> None:
    engine, settings = Dying(), changed(SETTINGS, go_away_seconds=60, stop_grace_seconds=60)
    async with (
        served(engine, settings) as server,
        typing_at(server.address) as idle,
        typing_at(server.address) as typist,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        server.gate.held = True
        await typist.send_submit(TEXT)
        await until(lambda: server.gate.waiting)
        unopened = Typist(KeystrokeServiceStub(channel).Compose())
        await until(lambda: server.running.servicer.streams == 3)
        engine.dies.set()
        await server.running.servicer.engine_died.wait()
        stopping = server.begins_to_stop()
        for told in (idle, typist, unopened):
            assert error_reason(await ended_by(told)) == "ENGINE_UNAVAILABLE"
        await stopping


# --- what runs beside the sessions, and fails


TYPED = "Zyzzyva is my password"


class Panic(BaseException):
    """No Exception, so whatever takes precautions against those lets it through."""


class Panicking(FakeEngine):
    """An engine that cannot be watched from `panics` on."""

    def __init__(self) -> None:
        super().__init__()
        self.panics = asyncio.Event()

    async def watch(self) -> None:
        await self.panics.wait()
        raise Panic(TYPED)


async def test_a_background_task_that_fails_is_reported_and_the_block_ends_in_good_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Panicking()
    async with served(engine) as server, typing_at(server.address) as idle:
        engine.panics.set()
        await server.running.background_failed.wait()
        async with typing_at(server.address) as typist:  # the caller of the block decides when it ends
            assert (await typist.submit(TEXT)).finished.usage.completion_tokens == 1
        stopping = server.begins_to_stop()
        assert error_reason(await ended_by(idle)) == "SERVER_STOPPING"
        await stopping
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "Panic" in line
    assert "in watch" in line
    assert TYPED not in caplog.text


async def test_a_block_that_fails_with_no_background_task_at_fault_reports_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(KeyError):
        async with running_server([FakeEngine()], SETTINGS) as server:
            raise KeyError
    assert not server.background_failed.is_set()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_background_task_that_fails_ends_the_server_with_1_and_its_streams_with_a_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = Panicking()
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        serving = asyncio.create_task(serve([engine], SETTINGS))
        said = ""
        while not said:
            await asyncio.sleep(0)
            said = capsys.readouterr().out
        async with typing_at(said.split()[-1]) as typist:
            await typist.type(TEXT)
            engine.panics.set()
            error = await ended_by(typist)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert error_reason(error) == "SERVER_STOPPING"
            assert retry_seconds(error) > 0
        assert await serving == 1


# --- what cannot be served


async def test_an_address_in_use_is_said_in_one_line() -> None:
    async with served() as server:
        taken = changed(SETTINGS, port=int(server.address.rpartition(":")[2]))
        with pytest.raises(ListenError, match="--port"):
            async with running_server([FakeEngine()], taken):
                pass


async def test_an_engine_that_does_not_answer_is_not_served() -> None:
    engine = FakeEngine()
    engine.faults.dead = True
    with pytest.raises(EngineStartError, match="does not answer"):
        async with running_server([engine], SETTINGS):
            pass
