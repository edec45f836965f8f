"""A clock that moves only when a test moves it."""

from dataclasses import dataclass


@dataclass
class HandClock:
    """Call it for the time, in seconds; move it by `now`."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now
