"""What a client is told, if it asks, of the answers that are begun for it: that they are, and what became of them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from ..session.responses import PregenerationUpdate

MOST_UNSENT: Final = 64
"""Updates that are kept for a client that does not read; the oldest make way."""


class GuessNews:
    """The updates of one session, taken in without waiting and sent by a task of their own.

    `send` sends one. Of a client that did not ask for them nothing is kept.
    """

    def __init__(self, send: Callable[[PregenerationUpdate], Awaitable[None]], *, wanted: bool) -> None:
        self._send = send
        self._wanted = wanted
        self._unsent: deque[PregenerationUpdate] = deque(maxlen=MOST_UNSENT)
        self._wake = asyncio.Event()

    def add(self, update: PregenerationUpdate) -> None:
        """Take in an update, to be sent after those before."""
        if self._wanted:
            self._unsent.append(update)
            self._wake.set()

    async def run(self) -> None:
        """Send updates until cancelled; raises what sending raises."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._unsent:
                await self._send(self._unsent.popleft())
