"""How fast the messages of one socket are read: pure."""


class Pace:
    """A bucket of so many messages, filled at a rate."""

    def __init__(self, per_second: float, burst: int, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = float(burst)
        self._at = now

    def wait_seconds(self, now: float) -> float:
        """Count one message, and return how long to wait before the next is read."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second) - 1
        self._at = now
        return max(0.0, -self._left / self._per_second)
