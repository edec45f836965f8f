"""A whole server in this process, on the fake engine: what all its sessions share, and how it stops."""

import asyncio
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_service.engine import FakeEngine
from forefill_service.errors import EngineStartError
from forefill_service.server import ListenError, RunningServer, running_server
from forefill_service.servicer import SERVICE_NAME
from forefill_service.settings import Settings
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.stage import Gate
from tests.support.wire import Typist, error_reason, retry_seconds, typing_at

SYSTEM = ("system", "You write SQL for a clinic. " * 8)
TEXT = "Show me all the patients that were seen by a doctor in the last year, and say when "
SECONDS_TO_GIVE_UP = 30
"""None of these tests takes long; one that hangs fails."""

SETTINGS = Settings(port=0, metrics_port=-1, stop_grace_seconds=2 * SECONDS_TO_GIVE_UP)


@dataclass(frozen=True)
class Served:
    """A running server that a test may stop before its block ends."""

    running: RunningServer
    engine: FakeEngine
    gate: Gate
    stack: AsyncExitStack

    @property
    def address(self) -> str:
        return self.running.address

    def begins_to_stop(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self.stack.aclose())

    def sample(self, name: str, **labels: str) -> float | None:
        return self.running.service.metrics.registry.get_sample_value(f"forefill_{name}", labels)


@asynccontextmanager
async def served(engine: FakeEngine | None = None, settings: Settings = SETTINGS) -> AsyncIterator[Served]:
    """Serve an engine whose work waits at a gate; the gate stands open at first."""
    engine, gate = engine or FakeEngine(), Gate()
    engine._sleep = gate
    async with asyncio.timeout(SECONDS_TO_GIVE_UP), AsyncExitStack() as stack:
        running = await stack.enter_async_context(running_server(engine, settings))
        try:
            yield Served(running, engine, gate, stack)
        finally:
            gate.open()


async def ended_by(typist: Typist) -> grpc.aio.AioRpcError:
    """Return what ends the stream, past all that still comes."""
    try:
        while True:
            await typist.read()
    except grpc.aio.AioRpcError as error:
        return error


async def until(condition: Any) -> None:
    """Wait for what has no event of its own."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


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

    async with served(settings=SETTINGS.model_copy(update={"metrics_port": 0})) as server:
        async with typing_at(server.address, [("system", "Zyzzyva")], session_key="zyzzyva-1") as typist:
            await typist.type("Zyzzyva is my password ")
            await typist.flush()
            answer = await typist.submit()
            text = await asyncio.to_thread(page, server.running.metrics_address)
        assert "forefill_sessions 1.0" in text
        assert 'forefill_generations_total{source="cold"} 1.0' in text
        assert "zyzzyva" not in text.lower()
        assert answer.text not in text


# --- the sessions together


async def test_where_prefix_caching_is_off_everything_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", logger="forefill_service.server")  # whatever level others have set on the root
    async with served(FakeEngine(cache_blocks=0)) as server, typing_at(server.address, [SYSTEM]) as typist:
        reason = typist.opened.warming_inert_reason
        assert "prefix caching is off" in reason
        assert [record.levelname for record in caplog.records if reason in record.getMessage()] == ["WARNING"]
        assert server.sample("warming_inert", cause=reason) == 1
        await typist.type(TEXT)
        assert (await typist.flush()).outcome == pb.FLUSH_OUTCOME_INERT
        assert (await typist.submit()).started.source == pb.GENERATION_SOURCE_COLD
        in_this_scope = [request for request in server.engine.requests if request.cache_salt is None]
        assert len(in_this_scope) == 1, "the answer's; the self-test's have salts of their own"


async def test_two_sessions_of_one_scope_share_blocks_and_a_third_of_its_own_does_not() -> None:
    async with served() as server:
        cached = []
        for scope in (pb.CACHE_SCOPE_SHARED, pb.CACHE_SCOPE_SHARED, pb.CACHE_SCOPE_SESSION):
            async with typing_at(server.address, [SYSTEM], warm_mode=pb.WARM_MODE_OFF, cache_scope=scope) as typist:
                cached.append((await typist.submit(TEXT)).cached_tokens)
        assert cached[0] == cached[2] == 0
        assert cached[1] > 0


async def test_a_client_that_does_not_read_is_ended_and_the_others_go_on() -> None:
    engine = FakeEngine(context_tokens=10**6, answer_tokens=20_000)
    settings = SETTINGS.model_copy(update={"write_timeout_seconds": 0.2})
    small_windows = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16384)]
    async with (
        served(engine, settings) as server,
        grpc.aio.insecure_channel(server.address, small_windows) as channel,
    ):
        slow = Typist(KeystrokeServiceStub(channel).Compose())
        await slow.call.write(pb.ComposeRequest(open=pb.Open()))
        await slow.read()
        await slow.send_submit(TEXT)
        async with typing_at(server.address, [SYSTEM]) as typist:
            await typist.type(TEXT)
            assert (await typist.flush()).outcome == pb.FLUSH_OUTCOME_WARMED
            await until(lambda: server.sample("errors_total", reason="client_too_slow"))
            assert (await typist.submit()).finished.usage.completion_tokens == 1
        assert engine.aborted == 1
        error = await ended_by(slow)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error_reason(error) == "CLIENT_TOO_SLOW"


async def test_a_client_that_goes_away_in_an_answer_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with served(FakeEngine(context_tokens=10**6, answer_tokens=10**5)) as server:
        for _ in range(5):
            async with typing_at(server.address, sampling=pb.Sampling()) as typist:
                await typist.send_submit(TEXT)
                for _ in range(5):
                    await typist.read()
        await until(lambda: not server.running.servicer._streams)
        assert server.engine.aborted == 5
        assert server.sample("sessions") == 0
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "WARNING")] == []


class Aborted(Exception):
    """What `abort` raises, as gRPC's does."""


class Context:
    """The server's end of a stream whose client opens and is gone; remembers how the stream was ended."""

    def __init__(self, before_open: Callable[[], None] = lambda: None) -> None:
        self.code: grpc.StatusCode | None = None
        self.opening = pb.ComposeRequest(open=pb.Open())
        self.reads = 0
        self._before_open = before_open

    async def read(self) -> pb.ComposeRequest:
        self.reads += 1
        if self.reads > 1:
            await asyncio.Event().wait()
        self._before_open()
        return self.opening

    async def write(self, message: object) -> None:
        raise grpc.aio.InternalError

    async def abort(self, code: grpc.StatusCode, *_: object) -> None:
        self.code = code
        raise Aborted


async def test_a_write_to_a_client_that_is_gone_is_an_abort(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as server:
        context: Any = Context()
        with pytest.raises(Aborted):
            await server.running.servicer.Compose(context, context)
        assert context.code is grpc.StatusCode.CANCELLED
    assert "a session failed" not in caplog.text


class OpenContext(Context):
    """The server's end of a stream whose client opens and idles."""

    async def write(self, message: object) -> None:
        pass


async def test_an_idle_stream_does_not_keep_the_request_that_opened_it() -> None:
    async with served() as server:
        context: Any = OpenContext()
        before = sys.getrefcount(context.opening)
        stream = asyncio.create_task(server.running.servicer.Compose(context, context))
        await until(lambda: context.reads == 2)
        now = sys.getrefcount(context.opening)
        assert now == before
        stream.cancel()
        await asyncio.wait({stream})


async def test_a_stream_that_does_not_open_in_time_is_ended_and_leaves_its_place() -> None:
    settings = SETTINGS.model_copy(update={"open_timeout_seconds": 0.01})
    async with served(settings=settings) as server, grpc.aio.insecure_channel(server.address) as channel:
        error = await ended_by(Typist(KeystrokeServiceStub(channel).Compose()))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error_reason(error) == "NOT_OPEN"
        assert "0.01 s" in (error.details() or "")
        await until(lambda: not server.running.servicer._streams)


async def test_many_sessions_leave_nothing_behind() -> None:
    async with served() as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = KeystrokeServiceStub(channel)

        async def session(number: int) -> None:
            typist = Typist(stub.Compose())
            await typist.call.write(pb.ComposeRequest(open=pb.Open(draft=TEXT)))
            await typist.read()
            typist.draft = TEXT
            await typist.send_flush()
            match number % 4:
                case 0:
                    await typist.flush()
                    await typist.end()
                case 1:
                    await typist.submit(TEXT)
                    await typist.end()
                case 2:
                    await typist.send_submit(TEXT)
                    typist.call.cancel()
                case 3:
                    await typist.call.done_writing()
                    await ended_by(typist)

        await session(0)
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        for _ in range(10):
            await asyncio.gather(*map(session, range(50)))
        await until(lambda: not server.running.servicer._streams and len(asyncio.all_tasks()) <= tasks)
        assert not server.running.servicer._runners
        assert server.sample("sessions") == 0
        assert threading.active_count() <= threads + 8, "the renderer's few threads and gRPC's own"


async def test_a_defect_is_logged_by_its_place_and_not_by_its_words(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as server, typing_at(server.address) as typist:

        def broken(request: object) -> None:
            raise ValueError(typed)

        typed = "Zyzzyva is my password"
        server.engine.generate = broken  # type: ignore[method-assign,assignment]
        await typist.send_submit(typed)
        assert error_reason(await ended_by(typist)) == "INTERNAL"
    assert "in _stream" in caplog.text
    assert typed not in caplog.text


class Panic(BaseException):
    """What a tokenizer in Rust raises: no Exception."""


async def test_a_panic_of_the_tokenizer_ends_its_own_session_alone() -> None:
    async with served() as server, typing_at(server.address) as typist:

        def panics(text: str) -> list[int]:
            raise Panic

        encode = server.engine.chat.encode
        server.engine.chat.encode = panics  # type: ignore[method-assign]
        await typist.send_submit(TEXT)
        assert error_reason(await ended_by(typist)) == "INTERNAL"
        server.engine.chat.encode = encode  # type: ignore[method-assign]
        async with typing_at(server.address) as other:
            assert (await other.submit(TEXT)).finished.usage.completion_tokens == 1


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


async def test_a_stream_that_has_not_opened_is_told_at_once_that_the_server_stops() -> None:
    async with served() as server, grpc.aio.insecure_channel(server.address) as channel:
        typist = Typist(KeystrokeServiceStub(channel).Compose())
        await until(lambda: server.running.servicer._unopened)
        stopping = server.begins_to_stop()
        assert error_reason(await ended_by(typist)) == "SERVER_STOPPING"
        await stopping
        assert not server.running.servicer._unopened


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
    settings = SETTINGS.model_copy(update={"stop_grace_seconds": 0})
    async with served(settings=settings) as server, typing_at(server.address) as typist:
        server.gate.held = True
        await typist.send_submit(TEXT)
        await until(lambda: server.gate.waiting)
        stopping = server.begins_to_stop()
        assert (await ended_by(typist)).code() is grpc.StatusCode.UNAVAILABLE
        await stopping
        await until(lambda: server.engine.aborted)


# --- what cannot be served


async def test_an_address_in_use_is_said_in_one_line() -> None:
    async with served() as server:
        taken = SETTINGS.model_copy(update={"port": int(server.address.rpartition(":")[2])})
        with pytest.raises(ListenError, match="--port"):
            async with running_server(FakeEngine(), taken):
                pass


async def test_an_engine_that_does_not_answer_is_not_served() -> None:
    engine = FakeEngine()
    engine.faults.dead = True
    with pytest.raises(EngineStartError, match="does not answer"):
        async with running_server(engine, SETTINGS):
            pass
