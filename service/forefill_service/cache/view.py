"""A session's view of one place: what the cache there is believed to hold of the session's prompts.

Beliefs are shared by all sessions (`CachedBlocks`); a view adds the names that one session's blocks have there. A view
belongs to its place for good: who asks about another place asks another view, and a prefill in flight keeps the one
that it was planned on, wherever the session's requests go meanwhile.
"""

from collections.abc import Hashable

from ..chat.token_ids import TokenIds
from .blocks import BlockName, BlockNames, CachedBlocks
from .prefill import Prefill


class CacheView:
    """What one cache is believed to hold of one session's prompts.

    `block_size` is in tokens. `context_tokens` is the engine's limit: a warm asks for one token, so its prefix stays
    below it. `even_tokens` is the size from which on pieces round as the whole prompt does, 0 if that does not matter.
    `root` sets the session's blocks apart (`blocks.root_of`).
    """

    def __init__(
        self,
        blocks: CachedBlocks,
        *,
        block_size: int,
        context_tokens: int,
        even_tokens: int = 0,
        root: Hashable = None,
    ) -> None:
        self.blocks = blocks
        self.block_size = block_size
        self.even_blocks = -(-even_tokens // block_size)
        self.held: TokenIds | None = None
        """The prefix that the session used last, in whole blocks."""
        self._context_tokens = context_tokens
        self._names = BlockNames(block_size, root)

    def names(self, ids: TokenIds) -> list[BlockName]:
        """Return the names of all whole blocks of a prompt, first to last."""
        return self._names.of(ids)

    def frontier(self, ids: TokenIds, now: float) -> int:
        """Return how many leading tokens of a prompt are believed cached, in whole blocks."""
        return self.blocks.leading(self.names(ids), now) * self.block_size

    def goal(self, ids: TokenIds) -> int:
        """Return how many leading tokens of a prompt can be warmed, in whole blocks."""
        most = min(len(ids), self._context_tokens - 1)
        return most - most % self.block_size

    def lacking(self, ids: TokenIds, now: float) -> int:
        """Return how many tokens of a prompt can be warmed and are not believed cached, in whole blocks."""
        return max(0, self.goal(ids) - self.frontier(ids, now))

    def hold(self, ids: TokenIds, now: float) -> None:
        """Record that a request computed all whole blocks of these ids."""
        self.held = ids.prefix(self.goal(ids))
        self.blocks.used(self.names(ids), now)

    def begin(self, prefill: Prefill) -> None:
        """Record that a prefill is in flight: its new blocks need no other. `computed` or `failed` ends that."""
        self.blocks.begin(prefill.new_names)

    def computed(self, prefill: Prefill, found_tokens: int, now: float) -> None:
        """Record that the prefill is computed, and that the engine found this many of its tokens cached."""
        if found_tokens < prefill.frontier:
            missing = prefill.names[found_tokens // self.block_size : prefill.frontier // self.block_size]
            self.blocks.missed(missing, prefill.planned_at)
        self.blocks.used(prefill.names, now)
        self.held = prefill.prefix
        self.blocks.end(prefill.new_names)

    def failed(self, prefill: Prefill) -> None:
        """Record that the prefill ended without its blocks."""
        self.blocks.end(prefill.new_names)
