"""Builds a server, runs it, and stops it in good order."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from prometheus_client import start_http_server

from .access.certificate import ServerCertificate
from .access.gate import Gate
from .engine import Engine
from .engine.vllm import EmbeddedEngine
from .engine.vllm.openai_port import Stopping, openai_port
from .engine.vllm.rank import EmbeddedRank
from .errors import EngineStartError, ServiceError, trace_without_message
from .fleet.backend import Backend, Sleep
from .fleet.metrics import Metrics
from .fleet.render_pool import RenderPool
from .fleet.supervisor import EngineSupervisor
from .settings import Settings
from .wire.health import Health
from .wire.reflection import Reflection
from .wire.servicer import SERVICE_NAME, KeystrokeServicer

log = logging.getLogger(__name__)

PING_SECONDS = 10
HANDSHAKE_SECONDS = 10
IDLE_CONNECTION_SECONDS = 300
BEYOND_BYTES = 64 * 1024
LAST_WORD_SECONDS = 1.0
"""How long a stream that is ended has to be told why."""


class ListenError(ServiceError):
    """Raised when the server cannot listen on an address."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that accepts streams: its addresses, and the parts that tests and `serve` look at.

    `openai_address` is that of `--openai-port`, "" without one. `background_failed` is set if a background task ends
    before the server does; the failure is in the log.
    """

    address: str
    metrics_address: str
    openai_address: str
    backend: Backend
    servicer: KeystrokeServicer
    background_failed: asyncio.Event


@asynccontextmanager
async def running_server(
    engines: Sequence[Engine],
    settings: Settings,
    *,
    sleep: Sleep = asyncio.sleep,
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[RunningServer]:
    """Serve engines of one model for the duration of the block; then refuse new streams, let answers finish, and stop.

    From `hurry` on the stop waits for no answer. The engines stay the caller's. Raises ListenError, and
    EngineStartError if no engine passes its self-test.
    """
    hurry = hurry or asyncio.Event()
    async with (
        _openai_api(engines, settings) as openai,
        _compose_api(engines, settings, openai, sleep, hurry) as running,
    ):
        yield running


@dataclass(frozen=True, slots=True)
class _OpenAiApi:
    """The OpenAI API of an embedded engine: its address, "" if it is not served; and how it is stopped."""

    address: str = ""
    stopping: Stopping = Stopping(lambda: None, lambda: None)


@asynccontextmanager
async def _compose_api(
    engines: Sequence[Engine], settings: Settings, openai: _OpenAiApi, sleep: Sleep, hurry: asyncio.Event
) -> AsyncIterator[RunningServer]:
    metrics, pool = Metrics(), RenderPool(sleep)
    backend = Backend.of(
        engines, settings, metrics, pool.render, ready=False, openai_address=openai.address, sleep=sleep
    )
    if openai.address and not backend.hand_off_urls.offered:
        log.warning("applications cannot be told where the OpenAI API is: --host is no address; set --hand-off-url")
    gate = Gate.of(settings.access)
    servicer, healthy = KeystrokeServicer(backend, gate), Health("", SERVICE_NAME)
    supervisor = EngineSupervisor(backend, healthy.report, servicer.engine_died)
    await supervisor.prepare()
    server, port = _grpc_server(servicer, healthy, gate, settings)
    with _metrics_server(metrics, settings) as metrics_address:
        await server.start()
        async with _in_background(
            idle_refresher=backend.idle_refresher.run(),
            supervisor=supervisor.run(),
            render_pool=pool.watch(),
            open_sessions=servicer.watch(),
        ) as failed:
            try:
                yield RunningServer(
                    _address(settings.server.host, port), metrics_address, openai.address, backend, servicer, failed
                )
            finally:
                healthy.stop()
                await _stop(server, servicer, openai, settings, hurry)
                await pool.close()


async def serve(engines: Sequence[Engine], settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C, then return 0; return 1 after the engine has died or a background task has failed.

    A second signal ends what the first has let go on. Prints `forefill-server listening on HOST:PORT` to its output as
    soon as streams are accepted.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lambda: (hurry if stop.is_set() else stop).set())
    try:
        async with running_server(engines, settings, hurry=hurry) as server:
            print(f"forefill-server listening on {server.address}", flush=True)  # noqa: T201 - for its parent process
            if server.metrics_address:
                log.info("metrics on http://%s/metrics", server.metrics_address)
            if server.openai_address:
                log.info("vLLM's OpenAI API on http://%s/v1", server.openai_address)
            first = await _first(stop, server.servicer.engine_died, server.background_failed)
            if first is stop:
                go_away, grace = settings.server.go_away_seconds, settings.server.stop_grace_seconds
                log.info("stopping: sessions have %g s to go elsewhere, and running answers %g s more", go_away, grace)
                return 0
            if first is server.servicer.engine_died:
                log.error("the engine has died; start the server again")
            return 1
    finally:
        await asyncio.gather(*(engine.close() for engine in engines))


async def _stop(
    server: grpc.aio.Server,
    servicer: KeystrokeServicer,
    openai: _OpenAiApi,
    settings: Settings,
    hurry: asyncio.Event,
) -> None:
    """Take no new streams, tell those that are open, end those that are still there, and wait for their answers.

    What still runs after the grace is ended with a reason, which gRPC itself would not give. If the engine has died,
    nothing is waited for. Streams of other services, such as reflection, hold up nothing.
    """
    go_away, grace = settings.server.go_away_seconds, settings.server.stop_grace_seconds
    if servicer.engine_died.is_set():
        hurry.set()
    refusing = asyncio.create_task(server.stop(go_away + grace + LAST_WORD_SECONDS))
    try:
        if not servicer.engine_died.is_set():
            servicer.go_away(go_away)
            await _within(go_away, servicer.left, servicer.engine_died, hurry)
    finally:
        openai.stopping.begin()
        servicer.stop()
        await _within(grace, servicer.left, servicer.engine_died, hurry)
        servicer.end()
        if hurry.is_set():
            openai.stopping.end()
        await server.stop(LAST_WORD_SECONDS)
        await refusing


async def _within(seconds: float | None, *events: asyncio.Event) -> None:
    """Wait until one of these is set, if only for a moment, but no longer than so many seconds; None: no limit."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


@asynccontextmanager
async def _in_background(**work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Event]:
    """Own tasks that run until the block ends; log each that fails, and set the event if one ends before the block."""
    # Not a TaskGroup: around a `yield` it would cancel the task that entered the block, wherever that waits. The event
    # leaves it to the caller to end the block, so streams end with a reason, as in any other stop.
    failed, leaving = asyncio.Event(), False

    def ended(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None or not leaving:
            trace = "it ended too early" if error is None else trace_without_message(error)
            log.error("a background task, %s, has failed; start the server again\n%s", task.get_name(), trace)
            failed.set()

    tasks = [asyncio.create_task(coroutine, name=name) for name, coroutine in work.items()]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield failed
    finally:
        leaving = True
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _first(*events: asyncio.Event) -> asyncio.Event:
    """Wait until one of these, which stay set, is set, and return it; of several, the one named first."""
    await _within(None, *events)
    return next(event for event in events if event.is_set())


def _grpc_server(
    servicer: KeystrokeServicer, healthy: Health, gate: Gate, settings: Settings
) -> tuple[grpc.aio.Server, int]:
    silent_ms = round(settings.server.silent_client_seconds * 1000)
    server = grpc.aio.server(
        options=[
            # Without these two a client may send megabytes that nothing has read yet.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", 16384),
            # All three are needed to notice a frozen client in time.
            ("grpc.keepalive_time_ms", silent_ms * 3 // 4),
            ("grpc.keepalive_timeout_ms", silent_ms // 4),
            ("grpc.http2.ping_timeout_ms", silent_ms // 4),
            ("grpc.http2.min_ping_interval_without_data_ms", PING_SECONDS * 1000),
            # Connections that say nothing, and those that have no stream.
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
            ("grpc.max_connection_idle_ms", IDLE_CONNECTION_SECONDS * 1000),
            # A bit more than we take: gRPC refuses what is beyond without a reason, so we do it.
            ("grpc.max_receive_message_length", settings.server.max_message_bytes + BEYOND_BYTES),
            ("grpc.so_reuseport", 0),
        ]
    )
    servicer.add_to(server)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    access, address = settings.access, _address(settings.server.host, settings.server.port)
    if access.reflection:
        Reflection(gate, settings, SERVICE_NAME).add_to(server)
    try:
        if (certificate := ServerCertificate.of(access)) is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, certificate.credentials())
    except RuntimeError as error:
        raise ListenError(f"cannot listen on {address}; choose another with --port") from error
    return server, port


@asynccontextmanager
async def _openai_api(engines: Sequence[Engine], settings: Settings) -> AsyncIterator[_OpenAiApi]:
    """Serve the OpenAI API of an embedded engine for the duration of the block, if that is asked for."""
    if settings.hand_off.openai_port < 0:
        yield _OpenAiApi()
        return
    if not isinstance(engine := engines[0], EmbeddedEngine | EmbeddedRank):
        raise EngineStartError("--openai-port needs --engine embedded")
    listener = _listener(settings.server.host, settings.hand_off.openai_port)
    with listener:
        app = await engine.openai_app(settings)
        address = _address(settings.server.host, listener.getsockname()[1])
        async with openai_port(app, listener, settings.server.stop_grace_seconds) as stopping:
            yield _OpenAiApi(address, stopping)


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ListenError(
            f"cannot listen on {_address(host, port)} for the OpenAI API; choose another with --openai-port"
        ) from error


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


@contextlib.contextmanager
def _metrics_server(metrics: Metrics, settings: Settings) -> Iterator[str]:
    if settings.server.metrics_port < 0:
        yield ""
        return
    try:
        server, thread = start_http_server(settings.server.metrics_port, settings.server.host, metrics.registry)
    except OSError as error:
        address = _address(settings.server.host, settings.server.metrics_port)
        raise ListenError(f"cannot listen on {address} for metrics; choose another with --metrics-port") from error
    try:
        yield _address(settings.server.host, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
