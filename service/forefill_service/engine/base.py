"""The seam between forefill and whatever runs the model: ids in, ids and text out."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ..cached_blocks import CacheChange
from ..events import Sampling
from ..prompt import Chat


class Priority(IntEnum):
    """Who goes first in the engine's queue: the lower number, as vLLM has it."""

    GENERATION = 0
    PREGENERATION = 5
    WARM = 10


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine serves: the model's name, the unit of caching and the context, both in tokens.

    `cache_blocks` is how many blocks its cache has, None where it does not say; `default_answer_tokens` the most that
    an answer gets where the caller asks for no limit, None where that is what the context leaves.
    """

    model: str
    block_size: int
    context_tokens: int
    cache_blocks: int | None = None
    default_answer_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """How an engine is doing, by its own word: requests that run and wait, the share of its cache that running requests
    hold (0 to 1), and how often one of them has lost its blocks to others since the engine started.
    """

    running: int = 0
    waiting: int = 0
    cache_usage: float = 0.0
    preemptions: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `max_tokens` at least 1, the rest of `sampling` as the engine's defaults have it where it is None.

    Blocks are shared only between requests of one `cache_salt`.
    """

    prompt_ids: list[int]
    sampling: Sampling
    priority: Priority
    cache_salt: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """The next part of an answer; `finish_reason` ("stop", "length") is set on the last.

    `cached_tokens` is the engine's own count of prompt tokens that it found cached, the same in every part.
    """

    text: str
    token_ids: tuple[int, ...]
    cached_tokens: int
    finish_reason: str | None = None


class Engine(Protocol):
    """An engine that is up. Public implementations: `EmbeddedEngine` and, for tests and trials, `FakeEngine`."""

    @property
    def info(self) -> EngineInfo:
        """What it serves."""

    @property
    def chat(self) -> Chat:
        """The model's chat template and tokenizer."""

    @property
    def load(self) -> EngineLoad:
        """How it is doing, as of its last step."""

    def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request. Closing the generator, or cancelling its reader, aborts it.

        Raises EngineRefused where only this request failed, EngineUnavailable where the engine is dead.
        """

    def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Yield what its cache stores and evicts; nothing, and an end at once, where it does not tell."""

    async def close(self) -> None:
        """Stop the engine and free what it holds; a second call does nothing."""


WARM_SAMPLING = Sampling(max_tokens=1, temperature=0.0)
"""The least that an engine can be asked for: it refuses 0 tokens."""


async def warm(engine: Engine, prefix: list[int], cache_salt: str | None = None) -> int:
    """Have the engine compute and cache these ids; return how many of them it found cached.

    Raises EngineRefused, EngineUnavailable.
    """
    cached_tokens = 0
    async for output in engine.generate(Request(prefix, WARM_SAMPLING, Priority.WARM, cache_salt)):
        cached_tokens = output.cached_tokens
    return cached_tokens
