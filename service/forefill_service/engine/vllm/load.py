"""vLLM's load, from the statistics that its scheduler sends with every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base import EngineLoad

if TYPE_CHECKING:
    from collections.abc import Callable


class LoadReader:
    """Keeps the latest statistics of each of an engine's schedulers: with data parallelism there are several."""

    def __init__(self) -> None:
        self._latest: dict[int, EngineLoad] = {}

    @property
    def latest(self) -> EngineLoad:
        """The load of all schedulers: the sum of their requests and preemptions, and the usage of the fullest cache."""
        loads = self._latest.values()
        return EngineLoad(
            running=sum(load.running for load in loads),
            waiting=sum(load.waiting for load in loads),
            cache_usage=max((load.cache_usage for load in loads), default=0.0),
            preemptions=sum(load.preemptions for load in loads),
        )

    def of(self, engine: int) -> EngineLoad:
        """Return the load of one scheduler."""
        return self._latest.get(engine, EngineLoad())

    def stat_logger(self) -> Callable[..., Any]:
        """Return a stat logger factory for vLLM."""
        from vllm.v1.metrics.loggers import StatLoggerBase

        heard = self._heard

        class _Logger(StatLoggerBase):  # type: ignore[misc]
            def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
                self._engine = engine_index

            def record(
                self,
                scheduler_stats: Any,
                iteration_stats: Any,
                mm_cache_stats: Any = None,
                engine_idx: int = 0,
            ) -> None:
                heard(engine_idx, scheduler_stats, iteration_stats)

            def log_engine_initialized(self) -> None:
                pass

        return _Logger

    def _heard(self, engine: int, scheduler: Any, iteration: Any) -> None:
        before = self.of(engine)
        preempted = iteration.num_preempted_reqs if iteration is not None else 0
        self._latest[engine] = EngineLoad(
            running=before.running if scheduler is None else scheduler.num_running_reqs,
            waiting=before.waiting if scheduler is None else scheduler.num_waiting_reqs,
            cache_usage=before.cache_usage if scheduler is None else scheduler.kv_cache_usage,
            preemptions=before.preemptions + preempted,
        )
