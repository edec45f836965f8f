"""The clock of everything that is measured on real servers."""

import asyncio
import time
from typing import Final

SPIN_SECONDS: Final = 0.002
"""An event loop wakes up to a millisecond late: the last of the wait is spent asking the clock over and over."""


class Clock:
    """Real time, in seconds of `time.perf_counter`."""

    def now(self) -> float:
        """Return the time."""
        return time.perf_counter()

    async def until(self, instant: float, *, spin: bool = False) -> None:
        """Wait until an instant; with `spin`, to within microseconds."""
        early = SPIN_SECONDS if spin else 0.0
        await asyncio.sleep(max(0.0, instant - early - self.now()))
        while spin and self.now() < instant:  # noqa: ASYNC110 (a clock sets no event)
            await asyncio.sleep(0)
