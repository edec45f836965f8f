"""Builds a server, runs it, and stops it in good order."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from .access.gate import Gate
from .engine import Engine
from .errors import trace_without_message
from .fleet.backend import Backend, Sleep
from .fleet.interpreter import shorten_pauses
from .fleet.metrics import Metrics
from .fleet.render_pool import RenderPool
from .fleet.supervisor import EngineSupervisor
from .fleet.trace_export import traces_to
from .fleet.traces import Traces
from .listeners.address import ListenError, address_of
from .listeners.compose_port import compose_server
from .listeners.health_port import health_port
from .listeners.metrics_port import metrics_port
from .listeners.openai_api import OpenAiApi, openai_api
from .logs import report_failures_of_the_loop, unify
from .settings import Settings
from .wire.health import Health, Vitals
from .wire.servicer import SERVICE_NAME, KeystrokeServicer

__all__ = ["ListenError", "RunningServer", "running_server", "serve"]

log = logging.getLogger(__name__)

LAST_WORD_SECONDS = 1.0
"""How long a stream that is ended has to be told why."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that accepts streams: its addresses, and the parts that tests and `serve` look at.

    An address is "" if its port is disabled. `openai_address` is that of `--openai-port`. `background_failed` is set if
    a background task ends before the server does; the failure is in the log.
    """

    address: str
    metrics_address: str
    health_address: str
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

    From `hurry` on the stop waits for no answer. The engines stay the caller's. Raises ListenError, SettingsFileError,
    and EngineStartError if no engine passes its self-test.
    """
    hurry, gate = hurry or asyncio.Event(), Gate.of(settings.access)
    async with (
        openai_api(engines, settings, gate) as openai,
        aclosing(traces_to(settings.observability.otlp_endpoint)) as traces,
        _compose_api(engines, settings, gate, openai, traces, sleep, hurry) as running,
    ):
        yield running


@asynccontextmanager
async def _compose_api(
    engines: Sequence[Engine],
    settings: Settings,
    gate: Gate,
    openai: OpenAiApi,
    traces: Traces,
    sleep: Sleep,
    hurry: asyncio.Event,
) -> AsyncIterator[RunningServer]:
    metrics, pool, failed = Metrics(), RenderPool(sleep), asyncio.Event()
    backend = Backend.of(
        engines,
        settings,
        metrics,
        pool.render,
        ready=False,
        openai_address=openai.address,
        sleep=sleep,
        traces=traces,
    )
    if openai.address and not backend.hand_off_urls.offered:
        log.warning("applications cannot be told where the OpenAI API is: --host is no address; set --hand-off-url")
    servicer = KeystrokeServicer(backend, gate)
    metrics.watch_death(servicer.engine_died.is_set)
    vitals = Vitals([SERVICE_NAME], [servicer.engine_died, failed])
    supervisor, healthy = EngineSupervisor(backend, vitals.report, servicer.engine_died), Health(vitals)
    async with health_port(vitals, settings) as health_address, metrics_port(metrics.registry, settings) as scraped_at:
        await supervisor.prepare()
        server, port = compose_server(servicer, healthy, gate, settings)
        await server.start()
        vitals.report(backend.replicas.up)
        async with _in_background(
            failed,
            idle_refresher=backend.idle_refresher.run(),
            supervisor=supervisor.run(),
            render_pool=pool.watch(),
            open_sessions=servicer.watch(),
        ):
            address = address_of(settings.server.host, port)
            try:
                yield RunningServer(address, scraped_at, health_address, openai.address, backend, servicer, failed)
            finally:
                vitals.drain()
                healthy.end()
                await _stop(server, servicer, openai, settings, hurry)
                await pool.close()


async def serve(engines: Sequence[Engine], settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C, then return 0; return 1 after the engine has died or a background task has failed.

    A second signal ends what the first has let go on. Prints `forefill-server listening on HOST:PORT` to its output as
    soon as streams are accepted.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()
    report_failures_of_the_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lambda: (hurry if stop.is_set() else stop).set())
    try:
        unify()  # libraries that engines use have set up logs of their own
        async with running_server(engines, settings, hurry=hurry) as server:
            shorten_pauses()
            unify()  # and so have those of the OpenAI API
            print(f"forefill-server listening on {server.address}", flush=True)  # noqa: T201 - for its parent process
            if server.metrics_address:
                log.info("metrics on http://%s/metrics", server.metrics_address)
            if server.health_address:
                log.info("health service on %s", server.health_address)
            if server.openai_address:
                log.info("vLLM's OpenAI API on %s://%s/v1", settings.access.http_scheme, server.openai_address)
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
    openai: OpenAiApi,
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
async def _in_background(failed: asyncio.Event, **work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Own tasks that run until the block ends; log each that fails, and set the event if one ends before the block."""
    # Not a TaskGroup: around a `yield` it would cancel the task that entered the block, wherever that waits. The event
    # leaves it to the caller to end the block, so streams end with a reason, as in any other stop.
    leaving = False

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
        yield
    finally:
        leaving = True
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _first(*events: asyncio.Event) -> asyncio.Event:
    """Wait until one of these, which stay set, is set, and return it; of several, the one named first."""
    await _within(None, *events)
    return next(event for event in events if event.is_set())
