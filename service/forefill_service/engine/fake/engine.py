"""An engine without a model: deterministic, as fast or as slow as asked, and able to fail on request.

It has what forefill depends on: whole cached blocks found again by their ids, least-recently-used eviction, a prefill
and a decode that take time, priorities, refusals and death. Each token of an answer depends on all ids before it and
on nothing else, as a greedy model's does: if a prompt ends with the beginning of its answer, the engine continues with
the rest. It is for speed and faults; claims about vLLM are tested on vLLM.

Its speed is simple (`FakeSpeed`). Another model of an engine's scheduler plugs in from outside (`Scheduler`).
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from ...cache.blocks import BlockName, CacheChange, chained
from ...chat.generation import Output
from ...errors import EngineUnavailable
from ..base import EngineInfo, EngineLoad, Request
from .block_pool import BlockPool
from .chat import FakeChat, answer_to, cut_at, rest_of
from .chat_endpoint import FakeChatEndpoint
from .faults import FakeFaults
from .scheduler import INSTANT, FakeSpeed, Job, OnePrefillAtATime, Scheduler
from .splitter import FakeSplitter

if TYPE_CHECKING:
    from ...settings import Settings


class FakeEngine:
    """An `Engine` without a model.

    `cache_blocks` bounds the cache (0 turns prefix caching off), `answer_tokens` is the length of an answer that
    nothing stops earlier. `answer_text` is the text of every answer, if it is not empty: set it. `sleep` is awaited
    with seconds of simulated work, and may be replaced. Every request is kept in `requests`, unless `keep_requests` is
    false. `load` is what it reports: set it. `scheduler` makes the engine's scheduler, which takes the place of
    `speed`. Its `chat_endpoint` renders as its `chat` does until told otherwise.
    """

    def __init__(
        self,
        *,
        block_size: int = 16,
        context_tokens: int = 8192,
        cache_blocks: int = 4096,
        answer_tokens: int = 8,
        speed: FakeSpeed = INSTANT,
        keep_requests: bool = True,
        name: str = "fake",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        scheduler: Callable[["FakeEngine"], Scheduler] | None = None,
    ) -> None:
        self.name = name
        self.info = EngineInfo("fake", block_size, context_tokens, cache_blocks or None)
        self.chat = FakeChat()
        self.chat_endpoint = FakeChatEndpoint(self, self.chat, keep=keep_requests)
        self.faults = FakeFaults()
        self.load = EngineLoad()
        self.requests: list[Request] = []
        self.aborted = 0
        self.answer_tokens = answer_tokens
        self.answer_text = ""
        self.sleep = sleep
        self.pool = BlockPool(cache_blocks)
        self._keep_requests = keep_requests
        self._scheduler: Scheduler = (
            scheduler(self)
            if scheduler
            else OnePrefillAtATime(self.pool, block_size, speed, self.faults, lambda seconds: self.sleep(seconds))
        )

    @classmethod
    def of(cls, settings: "Settings") -> "FakeEngine":
        """Make the engine that the settings describe; it keeps no requests."""
        fake = settings.fake
        engine = cls(
            context_tokens=settings.engine.context_tokens or 8192,
            block_size=settings.engine.block_size or 16,
            answer_tokens=fake.answer_tokens,
            speed=FakeSpeed(fake.prefill_speed or None, fake.decode_speed or None),
            keep_requests=False,
        )
        engine.answer_text = fake.answer
        if fake.reasoning_tokens:
            engine.chat_endpoint.new_splitter = lambda: FakeSplitter(fake.reasoning_tokens)
        engine.faults.refuse_every, engine.faults.break_every = fake.refuse_every, fake.break_every
        return engine

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request: prefill what is not cached, then decode word by word."""
        if self._keep_requests:
            self.requests.append(request)
        breaks = self.faults.meet(request)
        words, reason = cut_at(*self._answer(request), request.sampling.stop)
        ids = [*request.prompt_ids, *(token for word in words[:-1] for token in self.chat.encode(word))]
        job = Job(request.priority, self._blocks(ids, request.cache_salt), len(request.prompt_ids), len(words))
        ticks, finished = self._scheduler.ticks(job), False
        try:
            async with aclosing(ticks):
                async for answered in ticks:
                    self.faults.raise_if_lost()
                    if breaks and 2 * answered > len(words):
                        raise EngineUnavailable("the engine was lost")
                    word, last = words[answered - 1], answered == len(words)
                    yield Output(word, tuple(self.chat.encode(word)), job.cached or 0, reason if last else None)
            finished = True
        finally:
            self.aborted += not finished

    def _answer(self, request: Request) -> tuple[list[str], str]:
        max_tokens = self.info.answer_tokens(len(request.prompt_ids), request.sampling.max_tokens)
        if self.answer_text:
            return rest_of(self.answer_text, request.prompt_ids, max_tokens)
        return answer_to(request.prompt_ids, self.answer_tokens, max_tokens, request.sampling.min_tokens)

    async def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Report no changes."""
        return
        yield

    @property
    def up(self) -> bool:
        """Whether it is not down; a dead one is found out by asking it."""
        return not self.faults.down

    async def watch(self) -> None:
        """Do nothing: `up` is always right."""

    async def close(self) -> None:
        """Stop: what runs and what comes fails with EngineDied."""
        self.faults.dead = True
        self._scheduler.stop()

    def hold(self, ids: Sequence[int], cache_salt: str | None = None) -> None:
        """Have the whole blocks of these ids cached, at no cost."""
        self.pool.store(self._blocks(ids, cache_salt))

    def evict(self) -> None:
        """Forget all cached blocks that no request holds."""
        self.pool.clear()

    def _blocks(self, ids: Sequence[int], cache_salt: str | None) -> list[BlockName]:
        return chained(hash(cache_salt), ids, self.info.block_size)
