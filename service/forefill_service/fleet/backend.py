"""What all sessions of a server share."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from ..cache.blocks import CachedBlocks
from ..engine import Engine, EngineInfo
from ..scheduling.admission import Admission, Limits
from ..scheduling.prefill_times import PrefillTimes
from ..scheduling.pressure import PressureGauge
from ..scheduling.retry_budget import RetryBudget
from ..scheduling.waste_limit import WasteLimiter
from ..settings import Settings
from .idle_refresh import IdleRefresher
from .metrics import Metrics
from .replicas import Replica, Replicas

Clock = Callable[[], float]
Sleep = Callable[[float], Coroutine[Any, Any, None]]
Render = Callable[..., Awaitable[Any]]
"""Runs a function of `prompt` off the event loop."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The engines, and who may use them for what. `render` runs a function of `prompt` off the event loop."""

    replicas: Replicas
    settings: Settings
    metrics: Metrics
    render: Render
    clock: Clock
    waste_limiter: WasteLimiter
    idle_refresher: IdleRefresher
    sleep: Sleep = asyncio.sleep

    @property
    def info(self) -> EngineInfo:
        """What the engines serve."""
        return self.replicas.info

    @classmethod
    def of(
        cls,
        engines: Sequence[Engine],
        settings: Settings,
        metrics: Metrics,
        render: Render,
        *,
        warming_inert_reason: str = "",
        ready: bool = True,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> "Backend":
        """Put together what the settings ask for; where not `ready`, no engine is used before `prepare` has seen it."""
        replicas = []
        for engine in engines:
            replicas += _replicas(engine, settings, clock, warming_inert_reason, ready=ready)
        metrics.watch(replicas)
        return cls(
            replicas=Replicas(replicas, RetryBudget(settings.remote.retry_share), routed=settings.remote.router),
            settings=settings,
            metrics=metrics,
            render=render,
            clock=clock,
            waste_limiter=WasteLimiter(settings.warming.least_used_share),
            idle_refresher=IdleRefresher(max(1.0, settings.warming.touch_seconds / 4), clock),
            sleep=sleep,
        )


def _replicas(engine: Engine, settings: Settings, clock: Clock, inert_reason: str, *, ready: bool) -> list[Replica]:
    """Return an engine as a replica, a router as one for each of its workers: they are taken to be equally fast."""
    workers = settings.remote.router_workers if settings.remote.router else 1
    times = PrefillTimes()
    return [
        Replica(
            name=engine.name if workers == 1 else f"{engine.name}/{worker}",
            engine=engine,
            admission=Admission(engine, _limits(settings), times, _gauge(settings), clock),
            blocks=CachedBlocks(keep_seconds=settings.warming.assume_cached_seconds, room=engine.info.cache_blocks),
            inert_reason=inert_reason,
            ready=ready,
        )
        for worker in range(workers)
    ]


def _limits(settings: Settings) -> Limits:
    return Limits(
        busy_seconds=settings.warming.busy_gap_ms / 1000,
        idle_seconds=settings.warming.idle_gap_ms / 1000,
        piece_tokens=settings.warming.piece_tokens,
        in_flight=settings.warming.in_flight,
        pregenerations=settings.pregeneration.in_flight,
        wait_seconds=settings.warming.wait_seconds,
    )


def _gauge(settings: Settings) -> PressureGauge:
    return PressureGauge(
        waiting_requests=settings.warming.shed_waiting_requests,
        cache_usage=settings.warming.shed_cache_usage,
        after_preemption_seconds=settings.warming.shed_after_preemption_seconds,
    )
