"""Keeps what silent sessions hold from being the first to be evicted: engines evict what was unused longest."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Kept(Protocol):
    """What is looked after: a session's warms."""

    def touch_if_due(self, now: float) -> None:
        """Use what the session holds once more, if it was silent long enough, and not too long."""


class IdleRefresher:
    """One for all sessions of a server; `run` looks at them every `every_seconds`."""

    def __init__(self, every_seconds: float, clock: Callable[[], float]) -> None:
        self._every_seconds = every_seconds
        self._clock = clock
        self._kept: set[Kept] = set()

    def add(self, kept: Kept) -> None:
        """Look after a session."""
        self._kept.add(kept)

    def discard(self, kept: Kept) -> None:
        """Look after it no more."""
        self._kept.discard(kept)

    def look(self) -> None:
        """Touch what is due."""
        now = self._clock()
        for kept in list(self._kept):
            kept.touch_if_due(now)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._every_seconds)
            self.look()
