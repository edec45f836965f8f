"""The ids of a prompt, as a head that all renderings of a turn share and a tail of its own.

The head is the base prompt up to the last special token before the draft. It is kept as one tuple, so that what is done
at each FLUSH (compare, count, cut) does not grow with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class TokenIds:
    """An immutable sequence of token ids: `head` then `tail`."""

    head: tuple[int, ...]
    tail: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.head) + len(self.tail)

    def to_list(self) -> list[int]:
        """Return all ids as one new list."""
        return [*self.head, *self.tail]

    def prefix(self, length: int) -> "TokenIds":
        """Return the first `length` ids."""
        if length >= len(self.head):
            return TokenIds(self.head, self.tail[: length - len(self.head)])
        return TokenIds(self.head[:length], ())

    def extended(self, ids: Sequence[int]) -> "TokenIds":
        """Return these ids with more behind them."""
        return TokenIds(self.head, (*self.tail, *ids))

    def common(self, other: "TokenIds") -> int:
        """Return the number of leading ids that both have."""
        if self.head is other.head:
            return len(self.head) + _common(self.tail, other.tail)
        return _common(self.to_list(), other.to_list())


def common_prefix(sequences: Sequence[TokenIds]) -> TokenIds:
    """Return the leading ids that all of at least one sequence have."""
    return reduce(lambda shared, other: shared.prefix(shared.common(other)), sequences)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    shorter = min(len(a), len(b))
    for start in range(0, shorter, _CHUNK):  # slices compare at the speed of C
        if a[start : start + _CHUNK] != b[start : start + _CHUNK]:
            return next((i for i in range(start, shorter) if a[i] != b[i]), shorter)
    return shorter
