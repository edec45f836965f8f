"""The parts of a server that its sessions share."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..cache.blocks import CachedBlocks
from ..engine import Engine, EngineInfo
from ..scheduling.admission import Admission
from ..scheduling.guess_price import GuessBudget
from ..scheduling.in_flight import Limits
from ..scheduling.prefill_times import PrefillTimes
from ..scheduling.pressure import PressureGauge
from ..scheduling.retry_budget import RetryBudget
from ..scheduling.waste_limit import WasteLimiter
from ..session.likelihood import Typist
from ..settings import Settings
from .hand_off_urls import HandOffUrls
from .idle_refresh import IdleRefresher
from .metrics import Metrics
from .placement import RULES
from .replicas import Replica, Replicas
from .shares import Shares
from .streams import StreamRecord
from .traces import NO_TRACES, Metadata, Traces
from .typists import Typists

log = logging.getLogger(__name__)

Clock = Callable[[], float]
Sleep = Callable[[float], Coroutine[Any, Any, None]]
Render = Callable[..., Awaitable[Any]]
"""Runs a function of `prompt` off the event loop, for a bounded time; raises Refusal beyond it. `line` says whose."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The engines, the rules of their use, and the clock, sleep and threads that all sessions use.

    The cache salts of tenants are made with `salt_key`. Unless a secret is given it is random, which costs nothing: an
    engine in this process forgets its blocks when the server ends.
    """

    replicas: Replicas
    settings: Settings
    metrics: Metrics
    render: Render
    clock: Clock
    waste_limiter: WasteLimiter
    guess_budget: GuessBudget
    typist: Callable[[str], Typist]
    idle_refresher: IdleRefresher
    shares: Shares
    salt_key: bytes
    hand_off_urls: HandOffUrls = HandOffUrls()
    sleep: Sleep = asyncio.sleep
    traces: Traces = NO_TRACES
    _said: set[str] = field(default_factory=set)

    @property
    def info(self) -> EngineInfo:
        """The model that the engines serve, its context and its block size."""
        return self.replicas.info

    def stream(self, metadata: Metadata = None) -> StreamRecord:
        """Begin the record of a stream, which has this metadata."""
        self.metrics.stream_began()
        return StreamRecord(self.metrics, self.traces.stream(metadata))

    def rendered(self, verdict: str, meaning: str, *, agrees: bool) -> None:
        """Count a turn by whether its prompts are the engine's own; unless they are, say so once for each verdict."""
        self.metrics.rendered(verdict)
        if not agrees and verdict not in self._said:
            self._said.add(verdict)
            log.info("a session's prompts go another way than the fast path: %s", meaning)

    @classmethod
    def of(
        cls,
        engines: Sequence[Engine],
        settings: Settings,
        metrics: Metrics,
        render: Render,
        *,
        ready: bool = True,
        openai_address: str = "",
        typist: Callable[[str], Typist] | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        traces: Traces = NO_TRACES,
    ) -> "Backend":
        """Build what the settings ask for; unless `ready`, no engine is used until a supervisor has tested it.

        `openai_address` is that of an OpenAI API on these engines, if there is one. `typist` makes the model of a new
        session's user, of a tenant; by default the one that learns.
        """
        replicas = []
        for engine in engines:
            replicas += _replicas(engine, settings, metrics, clock, ready=ready)
        metrics.watch(replicas)
        metrics.limited(settings.sessions.max_open)
        return cls(
            replicas=Replicas(
                replicas,
                RetryBudget(settings.remote.retry_share),
                routed=settings.remote.router,
                rule=RULES[settings.remote.affinity],
            ),
            settings=settings,
            metrics=metrics,
            render=render,
            clock=clock,
            waste_limiter=WasteLimiter(settings.warming.least_used_share),
            guess_budget=GuessBudget(settings.pregeneration.waste),
            typist=typist or Typists(settings.pregeneration.final_characters).of_tenant,
            idle_refresher=IdleRefresher(max(1.0, settings.warming.touch_seconds / 4), clock, sleep),
            shares=Shares.of(settings, clock),
            salt_key=settings.access.cache_salt_secret.get_secret_value().encode() or secrets.token_bytes(32),
            hand_off_urls=HandOffUrls.of(settings, openai_address),
            sleep=sleep,
            traces=traces,
        )


def _replicas(engine: Engine, settings: Settings, metrics: Metrics, clock: Clock, *, ready: bool) -> list[Replica]:
    """Return one replica for an engine, and one for each worker of a router: these are assumed to be equally fast."""
    workers = settings.remote.router_workers if settings.remote.router else 1
    times = PrefillTimes()
    return [
        Replica(
            name=engine.name if workers == 1 else f"{engine.name}/{worker}",
            engine=engine,
            admission=Admission(engine, _limits(settings), times, _gauge(settings), clock, metrics.waited),
            blocks=CachedBlocks(keep_seconds=settings.warming.assume_cached_seconds, room=engine.info.cache_blocks),
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
