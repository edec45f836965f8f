"""An engine without a model: deterministic, as fast or as slow as asked, and able to fail on request.

It has what forefill depends on: whole cached blocks found again by their ids, least-recently-used eviction, a prefill
and a decode that take time, priorities, refusals and death. Each token of an answer depends on all ids before it and
on nothing else, as a greedy model's does: asked to go on behind its own words, it says the rest. It is for speed and
faults; claims about vLLM are tested on vLLM.

Its speed is simple: one prefill at a time, and answers that do not slow each other down (`FakeSpeed`). Another model of
an engine's scheduler plugs in from outside (`Scheduler`).
"""

import asyncio
import heapq
import re
import zlib
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

from ...cache.blocks import BlockName, CacheChange, chained
from ...chat.generation import Output
from ...chat.messages import ChatMessage
from ...errors import EngineBusy, EngineDied, EngineRefused, EngineUnavailable
from ..base import EngineInfo, EngineLoad, Priority, Request
from .block_pool import BlockPool


class FakeChat:
    """A ChatML-like template and a tokenizer by words: " word", one space, or one other character is a token."""

    split_texts = ("<|start|>", "<|end|>")

    _TOKEN = re.compile(r"<\|start\|>|<\|end\|>| ?\w+|\s|[^\w\s]")

    def render(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> str:
        """Return the prompt's text."""
        turns = [f"<|start|>{message.role}\n{message.content}<|end|>\n" for message in messages]
        return "".join(turns) + "<|start|>assistant\n"

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, below 2**31."""
        return [zlib.crc32(token.encode()) >> 1 for token in self._TOKEN.findall(text)]


[_NEWLINE] = FakeChat().encode("\n")


def _state(ids: Sequence[int], before: int = 0) -> int:
    """Return what stands for these ids behind others."""
    return zlib.crc32(array("Q", ids).tobytes(), before)


def _answered(ids: Sequence[int]) -> int:
    """Return how many tokens of the answer a prompt already holds: those behind the template's last line."""
    return ids[::-1].index(_NEWLINE) if _NEWLINE in ids else 0


@dataclass(frozen=True, slots=True)
class FakeSpeed:
    """How fast a fake engine is, in tokens a second; None takes no time."""

    prefill: float | None = None
    decode: float | None = None


@dataclass(slots=True)
class FakeFaults:
    """What a fake engine does wrong; set and reset at any time.

    `refuse` counts down requests of a priority that are refused, `busy` those that it has no room for; `down` loses
    every request, those that run among them, and `dead` does so for good.
    """

    refuse: dict[Priority, int] | None = None
    busy: int = 0
    down: bool = False
    dead: bool = False


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


class FakeEngine:
    """An `Engine` without a model.

    `cache_blocks` bounds the cache (0 turns prefix caching off), `answer_tokens` is the length of an answer that
    nothing stops earlier. `sleep` is awaited with seconds of simulated work, and may be replaced. Every request is kept
    in `requests`, unless `keep_requests` is false. `load` is what it reports: set it. `scheduler` makes the engine's
    scheduler, which takes the place of `speed`.
    """

    def __init__(
        self,
        *,
        block_size: int = 16,
        context_tokens: int = 8192,
        cache_blocks: int = 4096,
        answer_tokens: int = 8,
        speed: FakeSpeed = FakeSpeed(),
        keep_requests: bool = True,
        name: str = "fake",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        scheduler: Callable[["FakeEngine"], Scheduler] | None = None,
    ) -> None:
        self.name = name
        self.info = EngineInfo("fake", block_size, context_tokens, cache_blocks or None)
        self.chat = FakeChat()
        self.faults = FakeFaults()
        self.load = EngineLoad()
        self.requests: list[Request] = []
        self.aborted = 0
        self.answer_tokens = answer_tokens
        self._keep_requests = keep_requests
        self.sleep = sleep
        self.pool = BlockPool(cache_blocks)
        self._slot = _Slot()
        self._speed = speed
        self._scheduler = scheduler(self) if scheduler else None

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request: wait for the engine, prefill what is not cached, then decode word by word."""
        if self._keep_requests:
            self.requests.append(request)
        self._fail(request.priority)
        words, reason = self._answer(request)
        ids = [*request.prompt_ids, *(token for word in words[:-1] for token in self.chat.encode(word))]
        job = Job(request.priority, self._blocks(ids, request.cache_salt), len(request.prompt_ids), len(words))
        ticks, finished = self._ticks(job), False
        try:
            async with aclosing(ticks):
                async for said in ticks:
                    self._fail_if_lost()
                    word, last = words[said - 1], said == len(words)
                    yield Output(word, tuple(self.chat.encode(word)), job.cached or 0, reason if last else None)
            finished = True
        finally:
            self.aborted += not finished

    async def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Tell nothing."""
        return
        yield

    @property
    def up(self) -> bool:
        """Whether it is not down; a dead one is found out by asking it."""
        return not self.faults.down

    async def watch(self) -> None:
        """Do nothing: it is asked whenever somebody wants to know."""

    async def close(self) -> None:
        """Stop the scheduler, if it has one of its own; there is nothing to free."""
        if self._scheduler is not None:
            self.faults.dead = True
            self._scheduler.stop()

    def hold(self, ids: Sequence[int], cache_salt: str | None = None) -> None:
        """Have the whole blocks of these ids cached, at no cost."""
        self.pool.store(self._blocks(ids, cache_salt))

    def evict(self) -> None:
        """Forget all cached blocks that no request holds."""
        self.pool.clear()

    def _answer(self, request: Request) -> tuple[list[str], str]:
        """Return an answer's words, a token each, and why it ends."""
        wanted = self.info.answer_tokens(len(request.prompt_ids), request.sampling.max_tokens)
        rest = max(1, self.answer_tokens - _answered(request.prompt_ids))
        state, after_newline, words = _state(request.prompt_ids), request.prompt_ids[-1] == _NEWLINE, list[str]()
        for _ in range(min(wanted, rest)):
            words.append(f"{'' if after_newline else ' '}w{state % 1000}")
            state, after_newline = _state(self.chat.encode(words[-1]), state), False
        return words, "stop" if rest <= wanted else "length"

    def _ticks(self, job: Job) -> AsyncGenerator[int, None]:
        return self._by_slot(job) if self._scheduler is None else self._scheduler.ticks(job)

    async def _by_slot(self, job: Job) -> AsyncGenerator[int, None]:
        """Compute one prompt at a time, and answers that do not slow each other down."""
        size = self.info.block_size
        async with self._slot.held(job.priority):
            # The last token is always computed, and with it its block.
            job.cached = self.pool.leading(job.names[: (job.prompt_tokens - 1) // size]) * size
            await self._work(job.prompt_tokens - job.cached, self._speed.prefill)
            self._fail_if_lost()
            self.pool.store(job.names[: job.prompt_tokens // size])
        for said in range(1, job.answer_tokens + 1):
            await self._work(1, self._speed.decode)
            self._fail_if_lost()
            if said == job.answer_tokens:
                self.pool.store(job.names)
            yield said

    async def _work(self, tokens: int, tokens_per_second: float | None) -> None:
        await self.sleep(tokens / tokens_per_second if tokens_per_second else 0)

    def _fail(self, priority: Priority) -> None:
        self._fail_if_lost()
        if self.faults.busy > 0:
            self.faults.busy -= 1
            raise EngineBusy("the engine has no room")
        refuse = self.faults.refuse
        if refuse and refuse.get(priority, 0) > 0:
            refuse[priority] -= 1
            raise EngineRefused("the queue is full")

    def _fail_if_lost(self) -> None:
        if self.faults.dead:
            raise EngineDied("the engine is dead")
        if self.faults.down:
            raise EngineUnavailable("the engine is down")

    def _blocks(self, ids: Sequence[int], cache_salt: str | None) -> list[int]:
        """Return one hash for each whole block: of its ids and all before it."""
        return chained(hash(cache_salt), ids, self.info.block_size)


class _Slot:
    """One prefill at a time, the highest priority (lowest number) first, then the first to come."""

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
