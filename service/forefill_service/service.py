"""What all sessions of a server share."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from .admission import Admission, Limits
from .cached_blocks import CachedBlocks
from .engine import Engine
from .keeper import Keeper
from .metrics import Metrics
from .payback import Payback
from .prefill_times import PrefillTimes
from .pressure import PressureGauge
from .settings import Settings
from .warmer import Render

Clock = Callable[[], float]
Sleep = Callable[[float], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Service:
    """The engine, and who may use it for what. `render` runs a function of `prompt` off the event loop."""

    engine: Engine
    settings: Settings
    metrics: Metrics
    render: Render
    clock: Clock
    admission: Admission
    blocks: CachedBlocks
    payback: Payback
    keeper: Keeper
    warming_inert_reason: str = ""
    sleep: Sleep = asyncio.sleep

    @classmethod
    def of(
        cls,
        engine: Engine,
        settings: Settings,
        metrics: Metrics,
        render: Render,
        *,
        times: PrefillTimes | None = None,
        warming_inert_reason: str = "",
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> "Service":
        """Put together what the settings ask for; `times` is what is known of the engine already."""
        limits = Limits(
            busy_seconds=settings.busy_gap_ms / 1000,
            idle_seconds=settings.idle_gap_ms / 1000,
            piece_tokens=settings.warm_piece_tokens,
            in_flight=settings.warms_in_flight,
            pregenerations=settings.pregenerations_in_flight,
            wait_seconds=settings.warm_wait_seconds,
        )
        gauge = PressureGauge(
            waiting_requests=settings.shed_waiting_requests,
            cache_usage=settings.shed_cache_usage,
            after_preemption_seconds=settings.shed_after_preemption_seconds,
        )
        admission = Admission(
            engine.info.block_size, limits, times or PrefillTimes(), gauge, lambda: engine.load, clock
        )
        metrics.watch(lambda: admission.pressure, lambda: admission.speculative)
        return cls(
            engine=engine,
            settings=settings,
            metrics=metrics,
            render=render,
            clock=clock,
            admission=admission,
            blocks=CachedBlocks(keep_seconds=settings.assume_cached_seconds, room=engine.info.cache_blocks),
            payback=Payback(settings.least_used_share),
            keeper=Keeper(max(1.0, settings.touch_seconds / 4), clock),
            warming_inert_reason=warming_inert_reason,
            sleep=sleep,
        )
