"""The blocks of an engine's cache, by name: those that requests hold stay, the others are evicted by last use."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...cache.blocks import BlockName


@dataclass(eq=False, slots=True)
class Hold:
    """The blocks of one request: cached ones, in the order of its ids, and `unfilled` ones without a name yet."""

    names: list[BlockName] = field(default_factory=list)
    unfilled: int = 0


class BlockPool:
    """A cache of this many `blocks`. Only cached blocks that no request holds may be evicted."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self._unheld: OrderedDict[BlockName, None] = OrderedDict()  # least recently used first
        self._holders: Counter[BlockName] = Counter()
        self._unfilled = 0

    @property
    def held(self) -> int:
        """How many blocks requests hold."""
        return len(self._holders) + self._unfilled

    @property
    def usage(self) -> float:
        """The share of the blocks that requests hold, 0 to 1."""
        return self.held / self.blocks if self.blocks else 0.0

    def leading(self, names: Iterable[BlockName]) -> int:
        """Return how many leading blocks of a prompt are cached."""
        found = 0
        for name in names:
            if name not in self:
                break
            found += 1
        return found

    def __contains__(self, name: BlockName) -> bool:
        return name in self._unheld or name in self._holders

    def store(self, names: Sequence[BlockName]) -> None:
        """Cache the blocks of a prompt without holding them; its end is evicted before its beginning."""
        for name in reversed(names):
            if name not in self._holders:
                self._unheld[name] = None
                self._unheld.move_to_end(name)
        self._evict()

    def reserve(self, found: Sequence[BlockName], unfilled: int) -> Hold | None:
        """Hold cached blocks and this many that are still to be filled; return None if there is no room."""
        newly_held = sum(name not in self._holders for name in found)
        if self.held + newly_held + unfilled > self.blocks:
            return None
        for name in found:
            self._unheld.pop(name, None)
        self._holders.update(found)
        self._unfilled += unfilled
        self._evict()
        return Hold(list(found), unfilled)

    def fill(self, hold: Hold, names: Iterable[BlockName]) -> None:
        """Record that held blocks are computed; one that another request has cached meanwhile stays without a name."""
        for name in names:
            if name not in self:
                self._holders[name] = 1
                hold.names.append(name)
                hold.unfilled -= 1
                self._unfilled -= 1

    def release(self, hold: Hold) -> None:
        """Stop holding blocks; those that are computed stay cached."""
        self._unfilled -= hold.unfilled
        for name in reversed(hold.names):
            self._holders[name] -= 1
            if not self._holders[name]:
                del self._holders[name]
                self._unheld[name] = None
        hold.names, hold.unfilled = [], 0

    def clear(self) -> None:
        """Forget all blocks that no request holds."""
        self._unheld.clear()

    def _evict(self) -> None:
        while self._unheld and len(self._unheld) + self.held > self.blocks:
            self._unheld.popitem(last=False)
