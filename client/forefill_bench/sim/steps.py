"""An engine's steps as vLLM's scheduler makes them, one after the other: pure, with times as values.

A step computes one token for each running answer and as much of the prompts as fits into `max_batched_tokens`. Running
requests come first, in the order in which they began; then waiting ones, by priority and then by arrival. It takes

    fixed + per_token * tokens + per_pair * pairs + per_request * requests + per_read * tokens before theirs

seconds, each summed over all requests in it. The first three are the model of `prefill_times`; the others matter if
many requests have a few tokens each, as answers do: every step reads again all that was cached before them. A block is
cached from the end of the step that fills it. One thing is simpler than in vLLM: a request begins only when all blocks
are free that its prompt and its answer will ever need, so none loses them later (vLLM would preempt it).
"""

from bisect import insort
from dataclasses import dataclass
from itertools import count

from forefill_service.engine import EngineLoad, Priority
from forefill_service.engine.fake import Job
from forefill_service.engine.fake.block_pool import BlockPool, Hold
from forefill_service.scheduling.prefill_times import Coefficients


@dataclass(frozen=True, slots=True)
class StepModel:
    """How long steps take, and what fits into one: new tokens, and requests. Times in seconds."""

    times: Coefficients
    #: For each request in a step, and for each thousand tokens before its new ones.
    per_request: float = 0.0
    per_thousand_read: float = 0.0
    #: From when a request is sent until it waits in the engine.
    on_the_way: float = 0.0
    max_batched_tokens: int = 2048
    max_sequences: int = 256

    def added_seconds(self, new_tokens: int, behind: int) -> float:
        """Return by how much one request lengthens a step."""
        read = self.per_thousand_read * behind / 1000
        return self.per_request + read + self.times.added_seconds(new_tokens, behind)


@dataclass(eq=False, slots=True)
class _Running:
    """The progress of a request that has begun."""

    job: Job
    hold: Hold
    #: Tokens that are computed or were found cached.
    computed: int

    @property
    def wanted(self) -> int:
        """How many tokens it can have computed in the next step."""
        return max(1, self.job.prompt_tokens - self.computed)

    @property
    def answered(self) -> int:
        return max(0, self.computed - self.job.prompt_tokens + 1)


@dataclass(frozen=True, slots=True)
class Part:
    """One request's share of a step: `new_tokens` are computed, after `behind` earlier ones."""

    job: Job
    new_tokens: int
    behind: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the engine. `added_seconds` are those of each part, in their order."""

    parts: tuple[Part, ...]
    fixed_seconds: float
    added_seconds: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.fixed_seconds + sum(self.added_seconds)


class Steps:
    """The requests of one engine. Call `begin`, let the step's seconds pass, call `end`, and so on."""

    def __init__(self, model: StepModel, pool: BlockPool, block_size: int) -> None:
        self._model = model
        self._pool = pool
        self._block_size = block_size
        self._running: dict[Job, _Running] = {}
        self._waiting: list[tuple[Priority, int, Job]] = []
        self._order = count()

    @property
    def load(self) -> EngineLoad:
        """The requests that run and wait, and the share of the cache that they hold."""
        return EngineLoad(len(self._running), len(self._waiting), self._pool.usage)

    def fits(self, job: Job) -> bool:
        """Return whether a request could run if it were alone."""
        return self._blocks_of(job) <= self._pool.blocks

    def add(self, job: Job) -> None:
        """Let a request wait for its turn."""
        insort(self._waiting, (job.priority, next(self._order), job))

    def drop(self, job: Job) -> None:
        """Forget a request, running or waiting; the blocks that it has filled stay cached."""
        if running := self._running.pop(job, None):
            self._pool.release(running.hold)
        self._waiting = [entry for entry in self._waiting if entry[-1] is not job]

    def begin(self) -> Step | None:
        """Return the step that the engine does now; None if there is nothing to do."""
        room = self._model.max_batched_tokens
        parts: list[Part] = []
        for running in self._running.values():
            if room:
                parts.append(_part(running, room))
                room -= parts[-1].new_tokens
        while room and self._waiting and (begun := self._admitted(self._waiting[0][-1])):
            parts.append(_part(begun, room))
            room -= parts[-1].new_tokens
        if not parts:
            return None
        added = tuple(self._model.added_seconds(part.new_tokens, part.behind) for part in parts)
        return Step(tuple(parts), self._model.times.fixed, added)

    def end(self, step: Step) -> list[Job]:
        """Record that a step is done; return the requests that have one more token of their answer."""
        alive = [(self._running[part.job], part.new_tokens) for part in step.parts if part.job in self._running]
        for running, new_tokens in alive:
            self._compute(running, new_tokens)
        answering = [running for running, _ in alive if running.answered]
        for running in answering:
            if running.answered == running.job.answer_tokens:
                self.drop(running.job)
        return [running.job for running in answering]

    def _compute(self, running: _Running, tokens: int) -> None:
        filled = running.computed // self._block_size
        running.computed += tokens
        self._pool.fill(running.hold, running.job.names[filled : running.computed // self._block_size])

    def _admitted(self, job: Job) -> _Running | None:
        """Let the first waiting request begin, if there is room for it."""
        if len(self._running) >= self._model.max_sequences:
            return None
        size = self._block_size
        # The last token of a prompt is always computed, and with it its block.
        found = self._pool.leading(job.names[: (job.prompt_tokens - 1) // size])
        hold = self._pool.reserve(job.names[:found], self._blocks_of(job) - found)
        if hold is None:
            return None
        job.cached = found * size
        self._waiting.pop(0)
        self._running[job] = running = _Running(job, hold, job.cached)
        return running

    def _blocks_of(self, job: Job) -> int:
        return -(-(job.prompt_tokens + job.answer_tokens - 1) // self._block_size)


def _part(running: _Running, room: int) -> Part:
    return Part(running.job, min(running.wanted, room), running.computed)
