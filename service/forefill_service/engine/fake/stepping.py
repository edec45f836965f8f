"""Does an engine's steps as time goes by, as long as there is work."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from ..base import EngineLoad
from .steps import Job, Step, Steps


class Stepping:
    """Runs `steps`; `sleep` lets seconds go by, `stepped` is told each step that is done, and the load then.

    A request comes in `on_the_way` seconds after it was sent.
    The next step begins at the instant at which one ends, so what somebody asks for because of a step's tokens waits
    for the step after: as with a scheduler in a process of its own.
    """

    def __init__(
        self,
        steps: Steps,
        on_the_way: float,
        sleep: Callable[[float], Awaitable[None]],
        stepped: Callable[[Step, EngineLoad], None],
    ) -> None:
        self.steps = steps
        self._on_the_way = on_the_way
        self._sleep = sleep
        self._stepped = stepped
        self._heard: dict[Job, asyncio.Queue[None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def ticks(self, job: Job) -> AsyncGenerator[int, None]:
        """Run a request; yield how many tokens of its answer are there, after each. Closing this drops it."""
        if self._on_the_way:
            await self._sleep(self._on_the_way)
        heard = self._heard[job] = asyncio.Queue()
        self.steps.add(job)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            for answered in range(1, job.answer_tokens + 1):
                await heard.get()
                yield answered
        finally:
            del self._heard[job]
            self.steps.drop(job)

    def stop(self) -> None:
        """Do no more steps, and let nobody wait for one."""
        if self._task is not None:
            self._task.cancel()
        for heard in self._heard.values():
            heard.put_nowait(None)

    async def _run(self) -> None:
        while (step := self.steps.begin()) is not None:
            await self._sleep(step.seconds)
            for job in self.steps.end(step):
                self._heard[job].put_nowait(None)
            self._stepped(step, self.steps.load)
