"""An engine's steps as vLLM's scheduler makes them, one after the other: pure, with times as values.

A step computes one token for each answer that runs and as much of the prompts as fits into `max_batched_tokens`. Who
runs already comes first, in the order in which they began; then who waits, by priority and then as they came. It takes

    fixed + per_token * tokens + per_pair * pairs + per_request * requests + per_read * tokens before theirs

seconds, each summed over all requests in it. The first three are the model of `prefill_times`; the others matter where
many requests have a few tokens each, as answers do: every step reads again all that was cached before them. A block is
cached from the end of the step that fills it. One thing is simpler than in vLLM: a request begins only where all blocks
are free that its prompt and its answer will ever need, so none loses them later (vLLM would preempt it).
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from ...cache.blocks import BlockName
from ...scheduling.prefill_times import Coefficients
from ..base import EngineLoad, Priority
from .block_pool import BlockPool, Hold


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
class Job:
    """One request: its prompt, then an answer of `answer_tokens` (at least 1), a token a step.

    `names` are those of all whole blocks that it computes or finds: of the prompt, and of the answer but for its last
    token, which nobody computes on.
    """

    priority: Priority
    names: Sequence[BlockName]
    prompt_tokens: int
    answer_tokens: int
    #: Tokens that are computed or were found cached.
    computed: int = 0
    #: Prompt tokens that were found cached; None until it begins.
    cached: int | None = None
    hold: Hold | None = None

    @property
    def wanted(self) -> int:
        """How many tokens it can have computed in the next step."""
        return max(1, self.prompt_tokens - self.computed)

    @property
    def answered(self) -> int:
        """How many tokens of its answer are there."""
        return max(0, self.computed - self.prompt_tokens + 1)

    @property
    def finished(self) -> bool:
        """Whether its answer is complete."""
        return self.answered == self.answer_tokens


@dataclass(frozen=True, slots=True)
class Part:
    """What a step computes for one request: so many tokens, behind so many."""

    job: Job
    new_tokens: int
    behind: int


@dataclass(frozen=True, slots=True)
class Step:
    """What the engine does at once, and how long that takes. `added_seconds` are those of each part, in their order."""

    parts: tuple[Part, ...]
    fixed_seconds: float
    added_seconds: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.fixed_seconds + sum(self.added_seconds)


class Steps:
    """The requests of one engine. Call `begin`, let the step's seconds go by, call `end`, and so on."""

    def __init__(self, model: StepModel, pool: BlockPool, block_size: int) -> None:
        self._model = model
        self._pool = pool
        self._block_size = block_size
        self._running: list[Job] = []
        self._waiting: list[tuple[Priority, int, Job]] = []
        self._order = count()

    @property
    def load(self) -> EngineLoad:
        """How the engine is doing."""
        return EngineLoad(len(self._running), len(self._waiting), self._pool.usage)

    def fits(self, job: Job) -> bool:
        """Tell whether a request could run if it were alone."""
        return self._blocks_of(job) <= self._pool.blocks

    def add(self, job: Job) -> None:
        """Let a request wait for its turn."""
        insort(self._waiting, (job.priority, next(self._order), job))

    def drop(self, job: Job) -> None:
        """Forget a request, wherever it stands; the blocks that it has filled stay cached."""
        if job.hold is not None:
            self._pool.release(job.hold)
            job.hold = None
            self._running.remove(job)
        self._waiting = [entry for entry in self._waiting if entry[-1] is not job]

    def begin(self) -> Step | None:
        """Return the step that the engine does now; None where there is nothing to do."""
        room = self._model.max_batched_tokens
        parts: list[Part] = []
        for job in self._running:
            if room:
                parts.append(_part(job, room))
                room -= parts[-1].new_tokens
        while room and self._waiting and self._admit(self._waiting[0][-1]):
            parts.append(_part(self._running[-1], room))
            room -= parts[-1].new_tokens
        if not parts:
            return None
        added = tuple(self._model.added_seconds(part.new_tokens, part.behind) for part in parts)
        return Step(tuple(parts), self._model.times.fixed, added)

    def end(self, step: Step) -> list[Job]:
        """Take it that a step is done; return the requests that have one more token of their answer."""
        alive = [part for part in step.parts if part.job.hold is not None]
        for part in alive:
            self._compute(part.job, part.new_tokens)
        told = [part.job for part in alive if part.job.answered]
        for job in told:
            if job.finished:
                self.drop(job)
        return told

    def _compute(self, job: Job, tokens: int) -> None:
        filled = job.computed // self._block_size
        job.computed += tokens
        if job.hold is not None:
            self._pool.fill(job.hold, job.names[filled : job.computed // self._block_size])

    def _admit(self, job: Job) -> bool:
        """Let the first that waits begin, where there is room for it."""
        if len(self._running) >= self._model.max_sequences:
            return False
        size = self._block_size
        # The last token of a prompt is always computed, and with it its block.
        found = self._pool.leading(job.names[: (job.prompt_tokens - 1) // size])
        hold = self._pool.reserve(job.names[:found], self._blocks_of(job) - found)
        if hold is None:
            return False
        job.hold, job.computed, job.cached = hold, found * size, found * size
        self._waiting.pop(0)
        self._running.append(job)
        return True

    def _blocks_of(self, job: Job) -> int:
        return -(-(job.prompt_tokens + job.answer_tokens - 1) // self._block_size)


def _part(job: Job, room: int) -> Part:
    return Part(job, min(job.wanted, room), job.computed)
