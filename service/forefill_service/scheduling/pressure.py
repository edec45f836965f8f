"""The pressure on an engine, from its own signals, and the speculative work that is shed for it."""

from enum import IntEnum

from ..engine.base import EngineLoad


class Pressure(IntEnum):
    """The work that is shed: each level adds to the one before it."""

    NONE = 0
    WARMS = 1
    PREGENERATIONS = 2


class PressureGauge:
    """Reads the signals of one engine.

    signal                                   warms are shed at           pre-generations at
    requests that wait in the engine         `waiting_requests`          twice that
    share of the cache that answers hold     `cache_usage`               halfway from there to a full cache
    a running answer lost its blocks         for `after_preemption_seconds`, both
    """

    def __init__(self, *, waiting_requests: int, cache_usage: float, after_preemption_seconds: float) -> None:
        self._waiting_requests = waiting_requests
        self._cache_usage = cache_usage
        self._after_preemption_seconds = after_preemption_seconds
        self._preemptions = 0
        self._preempted_at = float("-inf")

    def read(self, load: EngineLoad, speculative: int, now: float) -> Pressure:
        """Return the pressure now; up to `speculative` of the requests that wait are speculative ones of our own."""
        if load.preemptions > self._preemptions:
            self._preempted_at = now
        self._preemptions = load.preemptions
        waiting = load.waiting - speculative
        if (
            waiting >= 2 * self._waiting_requests
            or load.cache_usage >= (1 + self._cache_usage) / 2
            or now - self._preempted_at < self._after_preemption_seconds
        ):
            return Pressure.PREGENERATIONS
        if waiting >= self._waiting_requests or load.cache_usage >= self._cache_usage:
            return Pressure.WARMS
        return Pressure.NONE
