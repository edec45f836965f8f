"""How often something may happen: a bucket of tokens that fills at a steady rate."""

from collections.abc import Callable


class Bucket:
    """Holds up to `burst` tokens, and gains `per_second`."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._held = burst
        self._at = clock()

    @property
    def full(self) -> bool:
        """Whether it is as if nothing had been taken from it."""
        self._fill()
        return self._held >= self._burst

    @property
    def debt_seconds(self) -> float:
        """How long it takes until all that was taken in advance is there."""
        self._fill()
        return max(0.0, -self._held / self._per_second)

    def take(self, count: int = 1) -> float:
        """Take tokens now or in advance; return for how many seconds to wait before they are there."""
        self._fill()
        self._held -= count
        return max(0.0, -self._held / self._per_second)

    def try_take(self) -> float:
        """Take a token if there is one and return 0; else return after how many seconds there will be one."""
        self._fill()
        if self._held < 1:
            return (1 - self._held) / self._per_second
        self._held -= 1
        return 0.0

    def _fill(self) -> None:
        now = self._clock()
        self._held = min(self._burst, self._held + (now - self._at) * self._per_second)
        self._at = now
