"""Which warm, if any, now: for one session, as a pure function of what it wants, what it holds and what is in flight.

A warm is worth sending only if it completes a block that is not cached, so everything here counts in whole blocks. What
was computed before is kept as paths of ids: after an edit the frontier is what the new prompt has in common with any of
them, and a text that comes back finds its blocks again. A path is a belief; the engine may have evicted it. That costs
speed alone: the next warm, or SUBMIT, computes it again.
"""

from dataclasses import dataclass

from .token_ids import TokenIds

MOST_PATHS = 8
"""Paths remembered per session; the oldest is forgotten first. A typist who edits has one or two."""


@dataclass(frozen=True, slots=True)
class Warm:
    """A prefix to warm: whole blocks, of which the first `frontier` tokens are believed cached."""

    prefix: TokenIds
    frontier: int

    @property
    def new_tokens(self) -> int:
        """Tokens that the engine is expected to compute."""
        return len(self.prefix) - self.frontier


class Planner:
    """What one session wants warm and what it holds.

    `block_size` and `piece_tokens` are in tokens; a piece is at least one block. `context_tokens` is the engine's
    limit: a warm asks for one token, so its prefix stays below it.
    """

    def __init__(self, *, block_size: int, piece_tokens: int, context_tokens: int) -> None:
        self.block_size = block_size
        self.piece_tokens = max(block_size, self._whole(piece_tokens))
        self.context_tokens = context_tokens
        self.wanted: TokenIds | None = None
        self.in_flight: Warm | None = None
        self.held: list[TokenIds] = []

    def _whole(self, tokens: int) -> int:
        return tokens - tokens % self.block_size

    def frontier(self, ids: TokenIds) -> int:
        """Return how many leading tokens of a prompt are believed cached, in whole blocks."""
        return self._whole(max((path.common(ids) for path in self.held), default=0))

    def goal(self, ids: TokenIds) -> int:
        """Return how many leading tokens of a prompt can be warmed, in whole blocks."""
        return self._whole(min(len(ids), self.context_tokens - 1))

    def want(self, stable: TokenIds) -> None:
        """Take new stable ids; they replace what was wanted before."""
        self.wanted = stable

    def drop_wants(self) -> None:
        """Want nothing more; what is in flight goes on."""
        self.wanted = None

    def next_warm(self) -> Warm | None:
        """Return the warm to send now and count it in flight, or None: nothing new, or one is in flight already."""
        if self.wanted is None or self.in_flight is not None:
            return None
        goal, frontier = self.goal(self.wanted), self.frontier(self.wanted)
        if goal <= frontier:
            return None
        piece = self.wanted.prefix(min(goal, frontier + self.piece_tokens))
        self.in_flight = Warm(piece, frontier)
        return self.in_flight

    def warmed(self) -> None:
        """Take it that the warm in flight is computed."""
        if self.in_flight is not None:
            self.hold(self.in_flight.prefix)
            self.in_flight = None

    def failed(self) -> None:
        """Take it that the warm in flight is not: it is not tried again until something new is wanted."""
        self.in_flight = None
        self.drop_wants()

    def submit(self, prompt: TokenIds) -> bool:
        """Stop planning for this turn; return whether the warm in flight is of no use to this prompt: drop it.

        A warm that is a prefix of the prompt goes on: to wait for it, or to abort it first, is slower (measured).
        """
        self.drop_wants()
        warm = self.in_flight
        return warm is not None and warm.prefix.common(prompt) < len(warm.prefix)

    def hold(self, ids: TokenIds) -> None:
        """Take it that the engine holds all whole blocks of these ids."""
        path = ids.prefix(self._whole(len(ids)))
        if not len(path):
            return
        others = [held for held in self.held if held.common(path) < len(held)]
        self.held = [*others, path][-MOST_PATHS:]
