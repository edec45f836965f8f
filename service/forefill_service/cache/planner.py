"""Which warm, if any, now: for one session, as a pure function of what it wants and what the engine holds.

A warm is worth sending only if it completes a block that is not cached, so everything here counts in whole blocks. What
the engine holds is a belief shared by all sessions (`CachedBlocks`): a prompt that two users open at once is computed
once, after an edit the frontier falls back to what the new prompt shares with anything cached, and a text that comes
back finds its blocks again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from ..chat.token_ids import TokenIds
from .blocks import BlockName, BlockNames, CachedBlocks

Room = Callable[[int], int]
"""How many new tokens one warm may compute now, behind so many cached ones; below a block is nothing."""


class Wait(Enum):
    """Why there is nothing to send now, though something is wanted."""

    NO_ROOM = auto()
    COMPUTED_BY_ANOTHER = auto()


@dataclass(frozen=True, slots=True)
class Prefill:
    """A prefix to warm: whole blocks, of which the first `frontier` tokens are believed cached when it is planned."""

    prefix: TokenIds
    frontier: int
    names: tuple[BlockName, ...] = field(default=(), compare=False)
    planned_at: float = field(default=0.0, compare=False)

    @property
    def new_tokens(self) -> int:
        """Tokens that the engine is expected to compute."""
        return len(self.prefix) - self.frontier


class Planner:
    """What one session wants warm.

    `block_size` is in tokens. `context_tokens` is the engine's limit: a warm asks for one token, so its prefix stays
    below it. `blocks` is what all sessions of the server share; `cache_salt` sets this one's apart.
    """

    def __init__(
        self, *, block_size: int, context_tokens: int, blocks: CachedBlocks, cache_salt: str | None = None
    ) -> None:
        self.block_size = block_size
        self.context_tokens = context_tokens
        self.blocks = blocks
        self.wanted: TokenIds | None = None
        self.in_flight: Prefill | None = None
        self.held: TokenIds | None = None
        self._cache_salt = cache_salt
        self._apart = ""
        self._names = BlockNames(block_size, cache_salt)

    def move(self, blocks: CachedBlocks, apart: str = "") -> None:
        """Plan for another cache from now on, unless a warm is in flight; `apart` sets off caches of one belief."""
        if self.in_flight is not None or (blocks is self.blocks and apart == self._apart):
            return
        self.blocks, self._apart, self.held = blocks, apart, None
        self._names = BlockNames(self.block_size, (self._cache_salt, apart) if apart else self._cache_salt)

    def frontier(self, ids: TokenIds, now: float) -> int:
        """Return how many leading tokens of a prompt are believed cached, in whole blocks."""
        return self.blocks.leading(self._names.of(ids), now) * self.block_size

    def goal(self, ids: TokenIds) -> int:
        """Return how many leading tokens of a prompt can be warmed, in whole blocks."""
        most = min(len(ids), self.context_tokens - 1)
        return most - most % self.block_size

    def want(self, stable: TokenIds) -> None:
        """Take new stable ids; they replace what was wanted before."""
        self.wanted = stable

    def drop_wants(self) -> None:
        """Want nothing more; what is in flight goes on."""
        self.wanted = None

    def next_warm(self, room: Room, now: float) -> Prefill | Wait | None:
        """Return the warm to send now and count it in flight; None: nothing is wanted that is not cached."""
        if self.wanted is None or self.in_flight is not None:
            return None
        size, goal = self.block_size, self.goal(self.wanted)
        names = self._names.of(self.wanted)[: goal // size]
        cached = self.blocks.leading(names, now)
        if cached == len(names):
            return None
        if self.blocks.is_computing(names[cached]):
            return Wait.COMPUTED_BY_ANOTHER
        end = min(len(names), cached + room(cached * size) // size)
        if end == cached:
            return Wait.NO_ROOM
        self.in_flight = Prefill(self.wanted.prefix(end * size), cached * size, tuple(names[:end]), now)
        self.blocks.begin(names[cached:end])
        return self.in_flight

    def touch(self, room: Room, now: float) -> Prefill | Wait | None:
        """Return the warm that uses all that is held once more, and count it in flight; None: nothing is held any more.

        What was evicted meanwhile is not brought back: the engine had no room for it.
        """
        if self.held is None or self.in_flight is not None:
            return None
        size, names = self.block_size, self._names.of(self.held)
        if not names or self.blocks.leading(names, now) < len(names):
            return None
        frontier = len(self.held) - size  # the last token is always computed, and with it its block
        if room(frontier) < size:
            return Wait.NO_ROOM
        self.in_flight = Prefill(self.held, frontier, tuple(names), now)
        self.blocks.begin(names[-1:])
        return self.in_flight

    def warmed(self, now: float, found_tokens: int | None = None) -> None:
        """Take it that the warm in flight is computed, and that the engine found so many tokens cached, if it told."""
        if (warm := self.in_flight) is not None:
            if found_tokens is not None and found_tokens < warm.frontier:
                missing = warm.names[found_tokens // self.block_size : warm.frontier // self.block_size]
                self.blocks.missed(missing, warm.planned_at)
            self.blocks.used(warm.names, now)
            self.held = warm.prefix
            self._land()

    def failed(self) -> None:
        """Take it that the warm in flight is not: it is not tried again until something new is wanted."""
        self._land()
        self.drop_wants()

    def submit(self, prompt: TokenIds) -> bool:
        """Stop planning for this turn; return whether the warm in flight is of no use to this prompt: drop it.

        A warm that is a prefix of the prompt goes on: to wait for it, or to abort it first, is slower (measured).
        """
        self.drop_wants()
        warm = self.in_flight
        return warm is not None and warm.prefix.common(prompt) < len(warm.prefix)

    def hold(self, ids: TokenIds, now: float) -> None:
        """Take it that the engine holds all whole blocks of these ids."""
        self.held = ids.prefix(self.goal(ids))
        self.blocks.used(self._names.of(ids), now)

    def _land(self) -> None:
        if self.in_flight is not None:
            self.blocks.end(self.in_flight.names[self.in_flight.frontier // self.block_size :])
            self.in_flight = None
