"""A fake engine with a meter: what it found cached, computed and made of each request, by its own count.

Its scheduler takes the place of the fake engine's own, and knows nothing of the service. One prompt is computed at a
time; one that is dropped in the middle leaves nothing in the cache.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from forefill_service.chat.generation import Output
from forefill_service.engine import FakeEngine, Priority, Request
from forefill_service.engine.fake import Job


@dataclass(eq=False, slots=True)
class Count:
    """One request, as the engine counts it.

    `found` are leading tokens of its prompt that were cached when it was begun, `made` the ids of its answer. `read`
    says whether all of its prompt is computed, and `answered` whether that was reported: the end of an answer may come
    without a token.
    """

    request: Request
    found: int = 0
    read: bool = False
    answered: bool = False
    made: list[int] = field(default_factory=list)

    @property
    def prompt(self) -> list[int]:
        return self.request.prompt_ids

    @property
    def is_warm(self) -> bool:
        return self.request.priority is Priority.WARM

    @property
    def is_ahead(self) -> bool:
        """Whether it began an answer before SUBMIT."""
        return self.request.priority is Priority.PREGENERATION

    @property
    def is_answer(self) -> bool:
        return self.request.priority is Priority.GENERATION

    @property
    def computed(self) -> int:
        """Tokens of the prompt that were computed for it."""
        return len(self.prompt) - self.found if self.read else 0

    def continued_by(self, later: "Count") -> bool:
        """Whether a later request goes on where this one's answer, or a part of it, ended."""
        more = later.prompt[len(self.prompt) :]
        return bool(more) and later.prompt[: len(self.prompt)] == self.prompt and self.made[: len(more)] == more


class MeteredEngine(FakeEngine):
    """Counts every request in `counts`, oldest first."""

    def __init__(self, **kwargs: Any) -> None:
        self.counts: list[Count] = []
        super().__init__(**kwargs, scheduler=lambda engine: _OneAtATime(engine, lambda: self.counts[-1]))

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        self.counts.append(count := Count(request))
        async with aclosing(super().generate(request)) as outputs:
            async for output in outputs:
                count.answered = True
                count.made.extend(output.token_ids)
                yield output


class _OneAtATime:
    """A scheduler that computes one prompt at a time; `arriving` says which request a job is of."""

    def __init__(self, engine: FakeEngine, arriving: Callable[[], Count]) -> None:
        self._engine = engine
        self._arriving = arriving
        self._free = asyncio.Lock()

    def ticks(self, job: Job) -> AsyncGenerator[int, None]:
        return self._ticks(job, self._arriving())  # nothing is awaited between the arrival of a request and its job

    async def _ticks(self, job: Job, count: Count) -> AsyncGenerator[int, None]:
        pool, size = self._engine.pool, self._engine.info.block_size
        async with self._free:
            count.found = job.cached = pool.leading(job.names[: (job.prompt_tokens - 1) // size]) * size
            await self._step()
            pool.store(job.names[: job.prompt_tokens // size])
            count.read = True
        for made in range(1, job.answer_tokens + 1):
            await self._step()
            if made == job.answer_tokens:
                pool.store(job.names)
            yield made

    async def _step(self) -> None:
        await self._engine.sleep(0)
        self._engine.faults.raise_if_lost()

    def stop(self) -> None:
        """Do nothing: there is no work but that of the requests."""
