"""An engine without a model: deterministic, as fast or as slow as asked, and able to fail on request.

It has what forefill depends on: whole cached blocks found again by their ids, least-recently-used eviction, a prefill
and a decode that take time, priorities, refusals and death. Each token of an answer depends on all ids before it and
on nothing else, as a greedy model's does: if a prompt ends with the beginning of its answer, the engine continues with
the rest. It is for speed and faults; claims about vLLM are tested on vLLM.

Of structures only `choice` is obeyed; others are refused. As on vLLM, each request begins it again. Logprobs
are made up: each token has a chance of a half. An adapter answers otherwise than another, and shares no blocks with it.

Its speed is simple (`FakeSpeed`). Another model of an engine's scheduler plugs in from outside (`Scheduler`).
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from ...cache.blocks import BlockName, CacheChange, chained, root_of
from ...chat.generation import Output, Sampling, TokenLogprob, TokenLogprobs
from ...errors import EngineUnavailable, Reason, Refusal
from ..base import EngineInfo, EngineLoad, Request
from .block_pool import BlockPool
from .chat import VOCABULARY, FakeChat, answer_to, choose, cut_at, rest_of
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
    `speed`. Its `chat_endpoint` renders as its `chat` does until told otherwise. `adapters` are the versions of those
    that it has, by name.
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
        adapters: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.info = EngineInfo("fake", block_size, context_tokens, cache_blocks or None, vocabulary=VOCABULARY)
        self.adapters = dict(adapters or {})
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
            adapters=settings.engine.adapters,
            keep_requests=False,
        )
        engine.answer_text = fake.answer
        if fake.reasoning_tokens:
            engine.chat_endpoint.new_splitter = lambda: FakeSplitter(fake.reasoning_tokens)
        engine.faults.refuse_every, engine.faults.break_every = fake.refuse_every, fake.break_every
        return engine

    async def check(self, sampling: Sampling, adapter: str) -> str:
        """Refuse what it cannot do: an adapter that it does not have, and all structures but `choice`."""
        self.faults.raise_if_lost()
        if sampling.structure is not None and sampling.structure.kind != "choice":
            name = sampling.structure.name
            raise Refusal(Reason.INVALID_SAMPLING, f"the fake engine obeys no structure but choice, so no {name}")
        if adapter and adapter not in self.adapters:
            raise Refusal(Reason.ADAPTER_NOT_FOUND, f"it has {', '.join(self.adapters) or 'none'}")
        return self.adapters.get(adapter, "")

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request: prefill what is not cached, then decode word by word."""
        if self._keep_requests:
            self.requests.append(request)
        breaks = self.faults.meet(request)
        sampling = request.sampling
        words, reason = self._answer(request)
        ids = [*request.prompt_ids, *(token for word in words[:-1] for token in self.chat.encode(word))]
        names = self._blocks(ids, request.cache_salt, request.adapter)
        job = Job(request.priority, names, len(request.prompt_ids), len(words))
        ticks, finished = self._scheduler.ticks(job), False
        try:
            async with aclosing(ticks):
                async for answered in ticks:
                    self.faults.raise_if_lost()
                    if breaks and 2 * answered > len(words):
                        raise EngineUnavailable("the engine was lost")
                    word, last = words[answered - 1], answered == len(words)
                    tokens = tuple(self.chat.encode(word))
                    logprobs = () if sampling.logprobs is None else _logprobs(word, tokens, sampling.logprobs)
                    yield Output(word, tokens, job.cached or 0, reason if last else None, logprobs=logprobs)
            finished = True
        finally:
            self.aborted += not finished

    def openai_headers(self, route: str) -> dict[str, str]:
        """Return no headers: it has no OpenAI API."""
        return {}

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

    def hold(self, ids: Sequence[int], cache_salt: str | None = None, adapter: str = "") -> None:
        """Have the whole blocks of these ids cached, at no cost."""
        self.pool.store(self._blocks(ids, cache_salt, adapter))

    def evict(self) -> None:
        """Forget all cached blocks that no request holds."""
        self.pool.clear()

    def _answer(self, request: Request) -> tuple[list[str], str]:
        """Return the words of an answer, one token each, and its finish reason."""
        sampling = request.sampling
        max_tokens = self.info.answer_tokens(len(request.prompt_ids), sampling.max_tokens)
        if sampling.structure is not None and isinstance(sampling.structure.value, tuple):
            return choose(request.prompt_ids, sampling.structure.value, max_tokens)
        if self.answer_text:
            return cut_at(*rest_of(self.answer_text, request.prompt_ids, max_tokens), sampling.stop)
        words, reason = answer_to(
            request.prompt_ids, self.answer_tokens, max_tokens, sampling.min_tokens, request.adapter
        )
        return cut_at(words, reason, sampling.stop)

    def _blocks(self, ids: Sequence[int], cache_salt: str | None, adapter: str = "") -> list[BlockName]:
        return chained(hash(root_of(cache_salt, adapter=adapter)), ids, self.info.block_size)


def _logprobs(word: str, ids: Sequence[int], likeliest: int) -> tuple[TokenLogprobs, ...]:
    """Return the same for every token: one chance of two, half of that for the next in the vocabulary, and so on."""

    def found(token: int) -> list[TokenLogprob]:
        return [
            TokenLogprob((token + rank) % VOCABULARY, "?" if rank else word, -(rank + 1) * math.log(2))
            for rank in range(max(1, likeliest))
        ]

    return tuple(TokenLogprobs.of(found(token), likeliest) for token in ids)
