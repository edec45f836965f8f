"""Runs an engine's steps as time passes, as long as there is work: the scheduler of a simulated `FakeEngine`."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from forefill_service.engine import FakeEngine
from forefill_service.engine.fake import Job
from forefill_service.errors import EngineRefused

from .steps import Step, StepModel, Steps


class Stepping:
    """Schedules the requests of a fake engine as `model` says; make one for each engine: `FakeEngine(scheduler=...)`.

    After each step it updates the engine's `load`, and calls `on_step`. `sleep` is awaited with the seconds of a step.
    A request arrives `model.on_the_way` seconds after it was sent.
    The next step begins at the instant at which one ends, so what is asked for because of a step's tokens waits for the
    step after that: as with a scheduler in a process of its own.
    """

    def __init__(
        self,
        engine: FakeEngine,
        model: StepModel,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_step: Callable[[Step], None] = lambda step: None,
    ) -> None:
        self._engine = engine
        self._steps = Steps(model, engine.pool, engine.info.block_size)
        self._on_the_way = model.on_the_way
        self._sleep = sleep
        self._on_step = on_step
        self._heard: dict[Job, asyncio.Queue[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def ticks(self, job: Job) -> AsyncGenerator[int, None]:
        """Run a request; yield the number of answer tokens that are ready, after each. Closing this drops it.

        Raises EngineRefused at once if the cache is too small for it.
        """
        if not self._steps.fits(job):
            raise EngineRefused("the prompt and its answer need more blocks than the cache has")
        return self._ticks(job)

    def stop(self) -> None:
        """Do no more steps, and wake every request that waits for one."""
        if self._task is not None:
            self._task.cancel()
        for heard in self._heard.values():
            heard.put_nowait(None)

    async def _ticks(self, job: Job) -> AsyncGenerator[int, None]:
        if self._on_the_way:
            await self._sleep(self._on_the_way)
        heard = self._heard[job] = asyncio.Queue()
        self._steps.add(job)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            for answered in range(1, job.answer_tokens + 1):
                await heard.get()
                yield answered
        finally:
            del self._heard[job]
            self._steps.drop(job)

    async def _run(self) -> None:
        while (step := self._steps.begin()) is not None:
            await self._sleep(step.seconds)
            for job in self._steps.end(step):
                self._heard[job].put_nowait(None)
            self._engine.load = self._steps.load
            self._on_step(step)
