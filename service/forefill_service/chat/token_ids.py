"""The ids of a prompt, as a head that all renderings of a turn share and a tail of its own.

The head is the base prompt up to the last special token before the draft. It is one shared sequence, so that the
work of a FLUSH (compare, count, cut) does not grow with it, and a compact one, since an idle session holds it for as
long as it is open.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class TokenIds:
    """An immutable sequence of token ids: the first `head_tokens` of `head` (-1: all of them), then `tail`."""

    head: Sequence[int]
    tail: tuple[int, ...]
    head_tokens: int = -1

    def __post_init__(self) -> None:
        if self.head_tokens < 0:
            object.__setattr__(self, "head_tokens", len(self.head))

    def __len__(self) -> int:
        return self.head_tokens + len(self.tail)

    def to_list(self) -> list[int]:
        """Return all ids as one new list."""
        return [*self.head[: self.head_tokens], *self.tail]

    def prefix(self, length: int) -> "TokenIds":
        """Return the first `length` ids; they share the head, even if they end within it."""
        in_head = min(length, self.head_tokens)
        return TokenIds(self.head, self.tail[: length - in_head], in_head)

    def extended(self, ids: Sequence[int]) -> "TokenIds":
        """Return these ids followed by more."""
        if self.head_tokens < len(self.head):
            return TokenIds((), (*self.to_list(), *ids))
        return TokenIds(self.head, (*self.tail, *ids))

    def common(self, other: "TokenIds") -> int:
        """Return the number of leading ids that both have."""
        if self.head is not other.head:
            return common_length(self.to_list(), other.to_list())
        if min(self.head_tokens, other.head_tokens) < len(self.head):
            return min(self.head_tokens, other.head_tokens)  # one ends within the head
        return len(self.head) + common_length(self.tail, other.tail)


def compact(ids: Sequence[int]) -> Sequence[int]:
    """Return ids in four bytes each, a tenth of what a tuple takes. The result must not be changed."""
    return array("I", ids)


def common_prefix(sequences: Sequence[TokenIds]) -> TokenIds:
    """Return the leading ids that all of at least one sequence have."""
    return reduce(lambda shared, other: shared.prefix(shared.common(other)), sequences)


def common_length(a: Sequence[object], b: Sequence[object]) -> int:
    """Return the number of leading items (ids, or characters of texts) that both have."""
    shorter = min(len(a), len(b))
    for start in range(0, shorter, _CHUNK):  # slices compare at the speed of C
        if a[start : start + _CHUNK] != b[start : start + _CHUNK]:
            return next((i for i in range(start, shorter) if a[i] != b[i]), shorter)
    return shorter
