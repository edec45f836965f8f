"""How long an answer is waited for: up to its first token, then from each token to the next.

Only what brings the answer on is heard. Comments that keep a connection open, empty events and single bytes are what a
server may send for ever.
"""

import asyncio


class Patience:
    """The time limits of one answer, on the running event loop's clock; made when it is asked for."""

    def __init__(self, first_seconds: float, between_seconds: float) -> None:
        self.seconds = first_seconds
        self._between_seconds = between_seconds
        self._heard_at = self._now()

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self._heard_at + self.seconds - self._now())

    def heard(self, most_seconds: float | None = None) -> None:
        """Wait for what comes next from now on: as long as between two tokens, or `most_seconds` if that is shorter."""
        self.seconds = self._between_seconds if most_seconds is None else min(most_seconds, self._between_seconds)
        self._heard_at = self._now()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
