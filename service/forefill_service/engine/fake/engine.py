"""An engine without a model: deterministic, as fast or as slow as asked, and able to fail on request.

It has what forefill depends on: whole cached blocks found again by their ids, least-recently-used eviction, a prefill
and a decode that take time, priorities, refusals and death. Each token of an answer depends on all ids before it and
on nothing else, as a greedy model's does: asked to go on behind its own words, it says the rest. It is for speed and
faults; claims about vLLM are tested on vLLM.

Its speed is one of two kinds: `FakeSpeed` is one prefill at a time and answers that do not slow each other down,
`StepModel` is continuous batching as vLLM has it (see `steps`).
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
from typing import Any

from ...cache.blocks import CacheChange, chained
from ...chat.generation import Output
from ...chat.messages import ChatMessage
from ...errors import EngineBusy, EngineDied, EngineRefused, EngineUnavailable
from ..base import EngineInfo, EngineLoad, Priority, Request
from .block_pool import BlockPool
from .stepping import Stepping
from .steps import Job, Step, StepModel, Steps


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


class FakeEngine:
    """An `Engine` without a model.

    `cache_blocks` bounds the cache (0 turns prefix caching off, and is not for a `StepModel`), `answer_tokens` is the
    length of an answer that nothing stops earlier. `sleep` is awaited with seconds of simulated work, and may be
    replaced. Every request is kept in `requests`, unless `keep_requests` is false.
    `load` is what it says of how it is doing: set it; with a
    `StepModel` it tells itself. `on_step` is then called with each step when it is done.
    """

    def __init__(
        self,
        *,
        block_size: int = 16,
        context_tokens: int = 8192,
        cache_blocks: int = 4096,
        answer_tokens: int = 8,
        speed: FakeSpeed | StepModel = FakeSpeed(),
        keep_requests: bool = True,
        name: str = "fake",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_step: Callable[[Step], None] = lambda step: None,
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
        self._on_step = on_step
        self._pool = BlockPool(cache_blocks)
        self._slot = _Slot()
        self._speed = speed if isinstance(speed, FakeSpeed) else FakeSpeed()
        self._stepping: Stepping | None = None
        if isinstance(speed, StepModel):
            steps = Steps(speed, self._pool, block_size)
            self._stepping = Stepping(steps, speed.on_the_way, lambda seconds: self.sleep(seconds), self._stepped)

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
        """Stop the steps, if it makes any; there is nothing to free."""
        if self._stepping is not None:
            self.faults.dead = True
            self._stepping.stop()

    def hold(self, ids: Sequence[int], cache_salt: str | None = None) -> None:
        """Have the whole blocks of these ids cached, at no cost."""
        self._pool.store(self._blocks(ids, cache_salt))

    def evict(self) -> None:
        """Forget all cached blocks that no request holds."""
        self._pool.clear()

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
        """Return what yields how many words of an answer are there, after each."""
        if self._stepping is None:
            return self._by_slot(job)
        if not self._stepping.steps.fits(job):
            raise EngineRefused("the prompt and its answer need more blocks than the cache has")
        return self._stepping.ticks(job)

    async def _by_slot(self, job: Job) -> AsyncGenerator[int, None]:
        """Compute one prompt at a time, and answers that do not slow each other down."""
        size = self.info.block_size
        async with self._slot.held(job.priority):
            # The last token is always computed, and with it its block.
            job.cached = self._pool.leading(job.names[: (job.prompt_tokens - 1) // size]) * size
            await self._work(job.prompt_tokens - job.cached, self._speed.prefill)
            self._fail_if_lost()
            self._pool.store(job.names[: job.prompt_tokens // size])
        for said in range(1, job.answer_tokens + 1):
            await self._work(1, self._speed.decode)
            self._fail_if_lost()
            if said == job.answer_tokens:
                self._pool.store(job.names)
            yield said

    def _stepped(self, step: Step, load: EngineLoad) -> None:
        self.load = load
        self._on_step(step)

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
