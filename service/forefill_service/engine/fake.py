"""An engine without a model: deterministic, as fast or as slow as asked, and able to fail on request.

It has what forefill depends on: whole cached blocks found again by their ids, least-recently-used eviction, a prefill
and a decode that take time, priorities, refusals and death. Each token of an answer depends on all ids before it and
on nothing else, as a greedy model's does: asked to go on behind its own words, it says the rest. It is for speed and
faults; claims about vLLM are tested on vLLM.
"""

import asyncio
import heapq
import re
import zlib
from array import array
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from ..cached_blocks import CacheChange, chained
from ..errors import EngineRefused, EngineUnavailable
from ..events import ChatMessage
from .base import EngineInfo, EngineLoad, Output, Priority, Request


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

    `refuse` counts down requests of a priority that are refused; `dead` fails every request for good.
    """

    refuse: dict[Priority, int] | None = None
    dead: bool = False


class FakeEngine:
    """An `Engine` without a model.

    `cache_blocks` bounds the cache (0 turns prefix caching off), `answer_tokens` is the length of an answer that
    nothing stops earlier. `sleep` is awaited with seconds of simulated work. Every request is kept in `requests`,
    unless `keep_requests` is false. `load` is what it says of how it is doing: set it.
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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.info = EngineInfo("fake", block_size, context_tokens, cache_blocks or None)
        self.chat = FakeChat()
        self.faults = FakeFaults()
        self.load = EngineLoad()
        self.requests: list[Request] = []
        self.aborted = 0
        self.answer_tokens = answer_tokens
        self.speed = speed
        self._keep_requests = keep_requests
        self._sleep = sleep
        self._cache_blocks = cache_blocks
        self._cache: OrderedDict[int, None] = OrderedDict()
        self._slot = _Slot()

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request: wait for the engine, prefill what is not cached, then decode word by word."""
        if self._keep_requests:
            self.requests.append(request)
        self._fail(request.priority)
        room = self.info.context_tokens - len(request.prompt_ids)
        if room < 1:
            raise EngineRefused("the prompt leaves no room for an answer")
        finished = False
        try:
            async with self._slot.held(request.priority):
                cached = self._cached_tokens(request)
                await self._work(len(request.prompt_ids) - cached, self.speed.prefill)
                self._fail_if_dead()
                self._store(request.prompt_ids, request.cache_salt)
            wanted = min(request.sampling.max_tokens or room, room)
            rest = max(1, self.answer_tokens - _answered(request.prompt_ids))
            length = min(wanted, rest)
            computed, state = list(request.prompt_ids), _state(request.prompt_ids)
            for position in range(length):
                await self._work(1, self.speed.decode)
                self._fail_if_dead()
                last = position == length - 1
                reason = ("stop" if rest <= wanted else "length") if last else None
                output = self._token(computed[-1], state, cached, reason)
                if last:
                    self._store(computed, request.cache_salt)
                computed.extend(output.token_ids)
                state = _state(output.token_ids, state)
                yield output
            finished = True
        finally:
            self.aborted += not finished

    async def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Tell nothing."""
        return
        yield

    async def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def evict(self) -> None:
        """Forget all cached blocks."""
        self._cache.clear()

    def _token(self, before: int, state: int, cached: int, reason: str | None) -> Output:
        word = f"{'' if before == _NEWLINE else ' '}w{state % 1000}"
        return Output(word, tuple(self.chat.encode(word)), cached, reason)

    async def _work(self, tokens: int, tokens_per_second: float | None) -> None:
        await self._sleep(tokens / tokens_per_second if tokens_per_second else 0)

    def _fail(self, priority: Priority) -> None:
        self._fail_if_dead()
        refuse = self.faults.refuse
        if refuse and refuse.get(priority, 0) > 0:
            refuse[priority] -= 1
            raise EngineRefused("the queue is full")

    def _fail_if_dead(self) -> None:
        if self.faults.dead:
            raise EngineUnavailable("the engine is dead")

    def _blocks(self, ids: list[int], cache_salt: str | None) -> list[int]:
        """Return one hash for each whole block: of its ids and all before it."""
        return chained(hash(cache_salt), ids, self.info.block_size)

    def _cached_tokens(self, request: Request) -> int:
        hits = 0
        for block in self._blocks(request.prompt_ids, request.cache_salt):
            if block not in self._cache:
                break
            hits += 1
        # The last token is always computed, and with it its block.
        return min(hits, (len(request.prompt_ids) - 1) // self.info.block_size) * self.info.block_size

    def _store(self, ids: list[int], cache_salt: str | None) -> None:
        for block in reversed(self._blocks(ids, cache_salt)):  # the end of a prompt is evicted before its beginning
            self._cache[block] = None
            self._cache.move_to_end(block)
        while len(self._cache) > self._cache_blocks:
            self._cache.popitem(last=False)


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
