"""A clock for tests of what is played on real servers: no wait takes any time, and the order of instants is kept."""

import asyncio
from heapq import heappop, heappush
from typing import Any

from forefill_bench.live.clock import Clock


class StillClock(Clock):
    """Skips to the next instant that a task waits for as soon as no task is at work.

    A task is at work from the moment when its instant has come until it waits for another one or ends. Tasks that bear
    one of the names `beside` are waited for, too. In between the clock runs as a real one.
    """

    def __init__(self, *beside: str) -> None:
        #: Seconds skipped so far.
        self.skipped = 0.0
        #: Every instant that was waited for.
        self.awaited: list[float] = []
        self._beside = beside
        self._waiting: list[tuple[float, int, asyncio.Task[Any], asyncio.Future[None]]] = []
        self._at_work: set[asyncio.Task[Any]] = set()

    def now(self) -> float:
        return super().now() + self.skipped

    async def until(self, instant: float, *, spin: bool = False) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        self._at_work.discard(task)
        self.awaited.append(instant)
        come = loop.create_future()
        heappush(self._waiting, (instant, len(self.awaited), task, come))
        loop.call_soon(self._skip)  # not now: tasks that were just made shall wait, too
        await come

    def _skip(self) -> None:
        for task in asyncio.all_tasks():
            if task.get_name() in self._beside:
                self._work(task)
        while self._waiting and not self._at_work:
            instant, _, task, come = heappop(self._waiting)
            if not come.done():
                self.skipped += max(0.0, instant - self.now())
                self._work(task)
                come.set_result(None)

    def _work(self, task: asyncio.Task[Any]) -> None:
        self._at_work.add(task)
        task.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[Any]) -> None:
        self._at_work.discard(task)
        self._skip()
