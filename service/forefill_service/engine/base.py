"""The seam between forefill and whatever runs the model: ids in, ids and text out."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ..cache.blocks import CacheChange
from ..chat.generation import Output, Sampling
from ..chat.prompt import Chat
from ..errors import EngineRefused


class Priority(IntEnum):
    """Who goes first in the engine's queue: the lower number, as vLLM has it."""

    GENERATION = 0
    PREGENERATION = 5
    WARM = 10


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine serves: the model's name, the unit of caching and the context, both in tokens.

    `cache_blocks` is how many blocks its cache has, None where it does not say; `default_answer_tokens` the most that
    an answer gets where the caller asks for no limit, None where that is what the context leaves. `penalizes` says that
    the model's own defaults have a presence or frequency penalty; `caches` is how many caches stand behind it, each
    found by route.
    """

    model: str
    block_size: int
    context_tokens: int
    cache_blocks: int | None = None
    default_answer_tokens: int | None = None
    penalizes: bool = False
    caches: int = 1

    def answer_tokens(self, prompt_tokens: int, max_tokens: int | None) -> int:
        """Return the most tokens that an answer gets: what was asked for, as far as the context has room for it.

        `max_tokens` is None if the caller sets no limit. Raises EngineRefused if the prompt leaves no room at all.
        """
        room = self.context_tokens - prompt_tokens
        if room < 1:
            raise EngineRefused("the prompt leaves no room for an answer")
        return min(max_tokens or self.default_answer_tokens or room, room)


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """How an engine is doing, by its own word: requests that run and wait, the share of its cache that running requests
    hold (0 to 1), and how often one of them has lost its blocks to others since the engine started.

    `others` is how many requests run there that are not ours, None where nobody tells.
    """

    running: int = 0
    waiting: int = 0
    cache_usage: float = 0.0
    preemptions: int = 0
    others: int | None = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `max_tokens` at least 1, the rest of `sampling` as the engine's defaults have it where it is None.

    Blocks are shared only between requests of one `cache_salt`. Where several caches stand behind one engine, requests
    of one `route` are to find the same one.
    """

    prompt_ids: list[int]
    sampling: Sampling
    priority: Priority
    cache_salt: str | None = None
    route: str = ""


class Engine(Protocol):
    """What runs the model. Public implementations: `EmbeddedEngine`, `RemoteEngine`, and, for tests and trials,
    `FakeEngine`.
    """

    @property
    def name(self) -> str:
        """What tells it apart from the others that serve the same."""

    @property
    def info(self) -> EngineInfo:
        """What it serves."""

    @property
    def chat(self) -> Chat:
        """The model's chat template and tokenizer."""

    @property
    def load(self) -> EngineLoad:
        """How it is doing, as of its last step."""

    @property
    def up(self) -> bool:
        """Whether it is worth asking now; True for one that has died for good, which says so itself."""

    def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request. Closing the generator, or cancelling its reader, aborts it.

        Raises EngineRefused where only this request failed (EngineBusy: for want of room), EngineUnavailable where the
        engine cannot be reached or was lost, EngineDied where it will never come back.
        """

    def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Yield what its cache stores and evicts, as far as it tells, and when it starts anew with an empty one."""

    async def watch(self) -> None:
        """Find out whether it is up, again and again, until cancelled.

        Raises EngineDied where it will never come back.
        """

    async def close(self) -> None:
        """Stop the engine and free what it holds; a second call does nothing."""


ONE_TOKEN = Sampling(max_tokens=1, temperature=0.0)
"""The least that an engine can be asked for: it refuses 0 tokens."""


async def warm(engine: Engine, prefix: list[int], cache_salt: str | None = None, route: str = "") -> int | None:
    """Have the engine compute and cache these ids; return how many of them it found cached, None if it does not tell.

    Raises EngineRefused, EngineUnavailable.
    """
    cached_tokens = None
    async for output in engine.generate(Request(prefix, ONE_TOKEN, Priority.WARM, cache_salt, route)):
        cached_tokens = output.cached_tokens
    return cached_tokens
