"""Periodically re-touches idle sessions' cached blocks so the engine's LRU does not evict them."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from ..errors import trace_without_message

log = logging.getLogger(__name__)


class Kept(Protocol):
    """A session whose blocks are kept."""

    def touch_if_due(self, now: float) -> None:
        """Use the session's blocks again, if it has been silent long enough, and not too long."""


class IdleRefresher:
    """One for all sessions of a server; `run` asks them every `every_seconds`."""

    def __init__(
        self, every_seconds: float, clock: Callable[[], float], sleep: Callable[[float], Coroutine[Any, Any, None]]
    ) -> None:
        self._every_seconds = every_seconds
        self._clock = clock
        self._sleep = sleep
        self._kept: set[Kept] = set()

    def add(self, kept: Kept) -> None:
        """Keep a session's blocks from now on."""
        self._kept.add(kept)

    def discard(self, kept: Kept) -> None:
        """Keep a session's blocks no longer."""
        self._kept.discard(kept)

    def touch_due(self) -> None:
        """Touch what is due; log a session whose touch fails, and go on with the others."""
        now = self._clock()
        for kept in list(self._kept):
            try:
                kept.touch_if_due(now)
            except Exception as error:
                log.error("an idle session could not be touched\n%s", trace_without_message(error))

    async def run(self) -> None:
        """Touch what is due every `every_seconds`, until cancelled."""
        while True:
            await self._sleep(self._every_seconds)
            self.touch_due()
