"""Turns on the event loop: however much a caller has waiting, one thing of it begins in each pass of the loop.

What several sessions of a caller send at once is ready at once. Without turns all of it would run in one pass, and what
the others wait for takes some ten passes.
"""

import asyncio
from collections import deque


class Turns:
    """The turns of one caller. What waits gets its turn in the order in which it came."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def mine(self) -> None:
        """Wait for a pass of the event loop in which nothing else of this caller has begun."""
        loop = asyncio.get_running_loop()
        if not self._taken:
            self._taken = True
            loop.call_soon(self._next)
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else who waited has been cancelled
                turn.set_result(None)
                asyncio.get_running_loop().call_soon(self._next)
                return
        self._taken = False
