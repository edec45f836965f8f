"""Puts a server together, runs it, and takes it down in good order."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server

from .engine import Engine
from .errors import ServiceError
from .fleet.backend import Backend
from .fleet.metrics import Metrics
from .fleet.supervisor import EngineSupervisor
from .settings import Settings
from .wire.health import Health
from .wire.servicer import SERVICE_NAME, KeystrokeServicer

log = logging.getLogger(__name__)

RENDER_THREADS = min(4, os.cpu_count() or 1)
PING_SECONDS = 10


class ListenError(ServiceError):
    """Raised when an address cannot be listened on."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that accepts streams: where, and the parts that tests and `serve` look at."""

    address: str
    metrics_address: str
    backend: Backend
    servicer: KeystrokeServicer


@asynccontextmanager
async def running_server(engines: Sequence[Engine], settings: Settings) -> AsyncIterator[RunningServer]:
    """Serve engines of one model for the time of the block; then refuse what is new, let answers finish, and stop.

    The engines stay the caller's. Raises ListenError, and EngineStartError where no engine passes its self-test.
    """
    with ThreadPoolExecutor(RENDER_THREADS, thread_name_prefix="forefill-render") as threads:

        async def render(function: Callable[..., Any], *args: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(threads, function, *args)

        metrics = Metrics()
        backend = Backend.of(engines, settings, metrics, render, ready=False)
        servicer, healthy = KeystrokeServicer(backend), Health("", SERVICE_NAME)
        supervisor = EngineSupervisor(backend, healthy, servicer.engine_died)
        await supervisor.prepare()
        server, port = _grpc_server(servicer, healthy, settings)
        with _metrics_server(metrics, settings) as metrics_address:
            await server.start()
            looking_after = [asyncio.create_task(work) for work in (backend.idle_refresher.run(), supervisor.run())]
            try:
                yield RunningServer(f"{settings.server.host}:{port}", metrics_address, backend, servicer)
            finally:
                healthy.stop()
                servicer.stop()
                await server.stop(settings.server.stop_grace_seconds)
                for task in looking_after:
                    task.cancel()
                await asyncio.gather(*looking_after, return_exceptions=True)


async def serve(engines: Sequence[Engine], settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C, then return 0; return 1 once the engine has died.

    Prints `forefill-server listening on HOST:PORT` on standard output when streams are accepted.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with running_server(engines, settings) as server:
            print(f"forefill-server listening on {server.address}", flush=True)  # noqa: T201 - for who started it
            if server.metrics_address:
                log.info("metrics on http://%s/metrics", server.metrics_address)
            if await _first(stop, server.servicer.engine_died) is stop:
                log.info("stopping: answers that run have %g s to finish", settings.server.stop_grace_seconds)
                return 0
            log.error("the engine has died; start the server again")
            return 1
    finally:
        await asyncio.gather(*(engine.close() for engine in engines))


async def _first(*events: asyncio.Event) -> asyncio.Event:
    waits = {asyncio.create_task(event.wait()): event for event in events}
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in pending:
        wait.cancel()
    return waits[next(iter(done))]


def _grpc_server(servicer: KeystrokeServicer, healthy: Health, settings: Settings) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(
        options=[
            # Without these two a client may send megabytes ahead of what is read.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", 16384),
            # All three are needed to notice a frozen client within seconds.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.http2.ping_timeout_ms", 10_000),
            ("grpc.http2.min_ping_interval_without_data_ms", PING_SECONDS * 1000),
            ("grpc.max_receive_message_length", settings.server.max_message_bytes),
            ("grpc.so_reuseport", 0),
        ]
    )
    servicer.add_to(server)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    reflection.enable_server_reflection((SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    try:
        port = server.add_insecure_port(f"{settings.server.host}:{settings.server.port}")
    except RuntimeError as error:
        raise ListenError(
            f"cannot listen on {settings.server.host}:{settings.server.port}; choose another with --port"
        ) from error
    return server, port


@contextlib.contextmanager
def _metrics_server(metrics: Metrics, settings: Settings) -> Iterator[str]:
    if settings.server.metrics_port < 0:
        yield ""
        return
    try:
        server, thread = start_http_server(settings.server.metrics_port, settings.server.host, metrics.registry)
    except OSError as error:
        where = f"{settings.server.host}:{settings.server.metrics_port}"
        raise ListenError(f"cannot listen on {where} for metrics; choose another with --metrics-port") from error
    try:
        yield f"{settings.server.host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
