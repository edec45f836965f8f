"""The blocks that an engine is believed to hold, over all sessions of a server.

A block is named by a hash of its ids and all before them, so sessions that share a prompt share its blocks, whichever
of them computed it. A belief may be wrong, since only the engine knows what it evicted: a block counts as gone if it
was not used for `keep_seconds`, or if as many others as the engine has room for were used after it. A wrong belief
costs speed alone.

If the engine reports what it stores and evicts (`change`), a block that it stored is held until it is evicted. Nothing
else is believed without end: the engine may never report the eviction of a block whose storing it did not report.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from ..chat.token_ids import CHUNK, TokenIds, shared_chunks

BlockName = int
ROOM_SHARE = 0.9
"""Share of the engine's blocks that we count on: running answers hold some that we cannot see."""


@dataclass(frozen=True, slots=True)
class CacheChange:
    """Blocks that an engine stored or evicted; if `cleared`, all that it held before are gone."""

    stored: tuple[BlockName, ...] = ()
    removed: tuple[BlockName, ...] = ()
    cleared: bool = False


def root_of(cache_salt: str | None, *, adapter: str = "", version: str = "", partition: str = "") -> Hashable:
    """Return what sets blocks apart that have the same ids; it goes into every name.

    `adapter` and `version` are those of a LoRA adapter, and `partition` stands for one of several caches.
    """
    apart = (adapter, version, partition)
    return (cache_salt, *apart) if any(apart) else cache_salt


class BlockNames:
    """Names the whole blocks of prompts; the parts that they share, a head and chunks of a long draft, are named once.

    `root` is what `root_of` makes.
    """

    def __init__(self, block_size: int, root: Hashable) -> None:
        self._block_size = block_size
        self._root = hash(root)
        self._head: Sequence[int] = ()
        self._chunks: tuple[Sequence[int], ...] = ()
        self._names: list[BlockName] = []

    def of(self, ids: TokenIds) -> list[BlockName]:
        """Return the names of all whole blocks of a prompt, first to last."""
        if ids.head is not self._head:
            self._head, self._chunks = ids.head, ()
            self._names = chained(self._root, ids.head, self._block_size)
        shared = shared_chunks(self._chunks, ids.chunks)
        whole = (ids.head_tokens + shared * CHUNK) // self._block_size
        names = self._names[:whole]
        names += chained(names[-1] if names else self._root, ids.since(whole * self._block_size), self._block_size)
        if shared < len(ids.chunks):
            self._chunks = ids.chunks
            self._names = names[: (ids.head_tokens + len(ids.chunks) * CHUNK) // self._block_size]
        return names


def chained(parent: BlockName, ids: Sequence[int], block_size: int) -> list[BlockName]:
    """Return the names of the whole blocks of ids that follow a parent block."""
    names = []
    for end in range(block_size, len(ids) + 1, block_size):
        parent = hash((parent, *ids[end - block_size : end]))
        names.append(parent)
    return names


class CachedBlocks:
    """The blocks believed cached, least recently used first, and those that a prefill computes just now.

    `room` is how many blocks the engine has, None if it does not say. Times are seconds of one clock. `told_by_engine`
    says that the engine reports single blocks.
    """

    def __init__(self, *, keep_seconds: float, room: int | None = None) -> None:
        self._keep_seconds = keep_seconds
        self._room = None if room is None else max(1, int(room * ROOM_SHARE))
        self._used_at: OrderedDict[BlockName, float] = OrderedDict()
        self._told: set[BlockName] = set()
        self._computing: Counter[BlockName] = Counter()
        self.told_by_engine = False

    @property
    def believed(self) -> int:
        """How many blocks are believed cached; one that was not used for too long counts until it is forgotten."""
        return len(self._told.union(self._used_at))

    def leading(self, names: Sequence[BlockName], now: float) -> int:
        """Return how many leading blocks are believed cached: the end of a prompt is evicted before its beginning."""
        for count in range(len(names), 0, -1):
            if self._holds(names[count - 1], now):
                return count
        return 0

    def is_computing(self, name: BlockName) -> bool:
        """Return whether a prefill in flight computes this block."""
        return name in self._computing

    def begin(self, names: Iterable[BlockName]) -> None:
        """Record that a prefill computes these blocks from now on."""
        self._computing.update(names)

    def end(self, names: Iterable[BlockName]) -> None:
        """Record that the prefill has ended, whether it computed them or not."""
        self._computing.subtract(names)
        for name in names:
            if self._computing[name] < 1:
                del self._computing[name]

    def used(self, names: Sequence[BlockName], now: float) -> None:
        """Record that a request has just used, or computed, the leading blocks of a prompt."""
        for name in reversed(names):
            self._used_at[name] = now
            self._used_at.move_to_end(name)
        self._forget(now)

    def missed(self, names: Sequence[BlockName], since: float) -> None:
        """Record that the engine did not find these blocks of a prompt, which were believed cached at `since`.

        It evicts least recently used first, so all that was used no later than the first of them counts as gone, too;
        that is too much if one belief covers several caches. If the first was used after `since`, another request has
        computed it again. If the engine reports what it evicts, nothing is learnt from this.
        """
        used_at = self._used_at.get(names[0])
        if self.told_by_engine or used_at is None or used_at > since:
            return
        while self._used_at.popitem(last=False)[0] != names[0]:
            pass

    def change(self, change: CacheChange) -> None:
        """Believe the engine's report of what it holds."""
        self.told_by_engine |= bool(change.stored or change.removed)
        if change.cleared:
            self._used_at.clear()
            self._told.clear()
        for name in change.removed:
            self._used_at.pop(name, None)
        self._told.difference_update(change.removed)
        self._told.update(change.stored)

    def stop_trusting_events(self) -> None:
        """Record that the engine reports no more: what it has reported counts for nothing from now on."""
        self.told_by_engine = False
        self._told.clear()

    def _holds(self, name: BlockName, now: float) -> bool:
        if name in self._told:
            return True
        used_at = self._used_at.get(name)
        return used_at is not None and now - used_at < self._keep_seconds

    def _forget(self, now: float) -> None:
        while self._used_at:
            name, used_at = next(iter(self._used_at.items()))
            crowded = self._room is not None and len(self._used_at) > self._room
            if not crowded and now - used_at < self._keep_seconds:
                return
            del self._used_at[name]
