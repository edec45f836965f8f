"""Turns on the event loop: however much a caller has waiting, one thing of it begins in every few passes of the loop.

What several sessions of a caller send at once is ready at once. Without turns all of it would run in one pass, and what
the others wait for takes some ten passes.
"""

import asyncio
from collections import deque
from collections.abc import Callable

PASSES = 4
"""So many passes of the loop belong to the others for each in which something of a caller begins, with that one."""


class Turns:
    """The turns of one caller. What waits gets its turn in the order in which it came.

    While the caller is `alone`, one begins in each pass.
    """

    def __init__(self, alone: Callable[[], bool] = lambda: False) -> None:
        self._alone = alone
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._taken = False

    async def mine(self, turns: int = 1) -> None:
        """Wait for a pass of the event loop that this caller may have, and in which nothing else of it has begun.

        What takes several passes itself takes as many turns: the next one of the caller comes that much later.
        """
        if not self._taken:
            self._taken = True
            self._go_on(turns)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, turns))
        await turn

    def _go_on(self, turns: int) -> None:
        asyncio.get_running_loop().call_soon(self._next, 1 if self._alone() else turns * PASSES)

    def _next(self, passes: int) -> None:
        if passes > 1 and self._waiting:
            asyncio.get_running_loop().call_soon(self._next, passes - 1)
            return
        while self._waiting:
            turn, turns = self._waiting.popleft()
            if not turn.done():  # else who waited has been cancelled
                turn.set_result(None)
                self._go_on(turns)
                return
        self._taken = False
