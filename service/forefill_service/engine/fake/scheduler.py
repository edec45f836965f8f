"""Schedulers of the fake engine: the seam, and a simple one with one prefill at a time."""

import asyncio
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from ...cache.blocks import BlockName
from ..base import Priority
from .block_pool import BlockPool
from .faults import FakeFaults


@dataclass(eq=False, slots=True)
class Job:
    """One request as a scheduler sees it: its prompt, then an answer of `answer_tokens` (at least 1).

    `names` are those of all whole blocks that it computes or finds: of the prompt, and of the answer but for its last
    token, which nothing is computed on.
    """

    priority: Priority
    names: Sequence[BlockName]
    prompt_tokens: int
    answer_tokens: int
    #: Prompt tokens that were found cached; None until it begins.
    cached: int | None = None


class Scheduler(Protocol):
    """Decides when each token of an answer is ready; fills the engine's `pool`, and may update its `load`."""

    def ticks(self, job: Job) -> AsyncGenerator[int, None]:
        """Run a request; yield the number of answer tokens that are ready, after each. Closing this drops it.

        Sets `job.cached` before the first. Raises EngineRefused for a request that can never run.
        """

    def stop(self) -> None:
        """Do no more work, and wake every request that waits for some."""


@dataclass(frozen=True, slots=True)
class FakeSpeed:
    """The speed of a fake engine, in tokens per second; None takes no time."""

    prefill: float | None = None
    decode: float | None = None


INSTANT = FakeSpeed()


class OnePrefillAtATime:
    """The simple `Scheduler`: one prefill at a time, by priority, and answers that do not slow each other down."""

    def __init__(
        self,
        pool: BlockPool,
        block_size: int,
        speed: FakeSpeed,
        faults: FakeFaults,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._pool = pool
        self._block_size = block_size
        self._speed = speed
        self._faults = faults
        self._sleep = sleep
        self._slot = _Slot()

    async def ticks(self, job: Job) -> AsyncGenerator[int, None]:
        """Wait for the slot, prefill what is not cached, then decode."""
        size = self._block_size
        async with self._slot.held(job.priority):
            # The last token is always computed, and with it its block.
            job.cached = self._pool.leading(job.names[: (job.prompt_tokens - 1) // size]) * size
            await self._work(job.prompt_tokens - job.cached, self._speed.prefill)
            self._pool.store(job.names[: job.prompt_tokens // size])
        for answered in range(1, job.answer_tokens + 1):
            await self._work(1, self._speed.decode)
            if answered == job.answer_tokens:
                self._pool.store(job.names)
            yield answered

    def stop(self) -> None:
        """Do nothing: there is no work but that of the requests."""

    async def _work(self, tokens: int, tokens_per_second: float | None) -> None:
        await self._sleep(tokens / tokens_per_second if tokens_per_second else 0)
        self._faults.raise_if_lost()


class _Slot:
    """A lock that goes to the highest priority (the lowest number) first, then to the first to come."""

    def __init__(self) -> None:
        self._busy = False
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._order = count()

    @asynccontextmanager
    async def held(self, priority: Priority) -> AsyncIterator[None]:
        if self._busy:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (priority, next(self._order), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._release()
                raise
        self._busy = True
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        self._busy = False
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                self._busy = True
                turn.set_result(None)
                return
