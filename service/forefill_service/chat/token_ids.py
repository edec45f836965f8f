"""The ids of a prompt, as parts that renderings of a turn share and a tail of its own.

The head is the base prompt up to the last special token before the draft. It is one shared sequence, so that the
work of a FLUSH (compare, count, cut) does not grow with it, and a compact one, since an idle session holds it for as
long as it is open. The chunks are the early part of a long draft, in pieces that the next FLUSH shares as well: what is
the same object need not be compared.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain

_COMPARED_AT_ONCE = 1024
CHUNK = 64
"""Ids of a chunk."""


@dataclass(frozen=True, slots=True)
class TokenIds:
    """An immutable sequence of token ids: the first `head_tokens` of `head` (-1: all of them), `chunks`, then `tail`.

    Each chunk has CHUNK ids. There are none if not all of the head is used.
    """

    head: Sequence[int]
    tail: tuple[int, ...]
    head_tokens: int = -1
    chunks: tuple[Sequence[int], ...] = ()

    def __post_init__(self) -> None:
        if self.head_tokens < 0:
            object.__setattr__(self, "head_tokens", len(self.head))

    def __len__(self) -> int:
        return self.head_tokens + len(self.chunks) * CHUNK + len(self.tail)

    def to_list(self) -> list[int]:
        """Return all ids as one new list."""
        return [*self.head[: self.head_tokens], *self._after_head(0)]

    def since(self, start: int) -> tuple[int, ...]:
        """Return the ids from a position on; the parts before it cost nothing."""
        if start < self.head_tokens:
            return (*self.head[start : self.head_tokens], *self._after_head(0))
        return tuple(self._after_head(start - self.head_tokens))

    def prefix(self, length: int) -> "TokenIds":
        """Return the first `length` ids; they share the head and the chunks, even if they end within them."""
        if length <= self.head_tokens:
            return TokenIds(self.head, (), length)
        whole, rest = divmod(length - self.head_tokens, CHUNK)
        if whole < len(self.chunks):
            return TokenIds(self.head, tuple(self.chunks[whole][:rest]), self.head_tokens, self.chunks[:whole])
        in_tail = length - self.head_tokens - len(self.chunks) * CHUNK
        return TokenIds(self.head, self.tail[:in_tail], self.head_tokens, self.chunks)

    def extended(self, ids: Sequence[int]) -> "TokenIds":
        """Return these ids followed by more."""
        if self.head_tokens < len(self.head):
            return TokenIds((), (*self.to_list(), *ids))
        return TokenIds(self.head, (*self.tail, *ids), self.head_tokens, self.chunks)

    def common(self, other: "TokenIds") -> int:
        """Return the number of leading ids that both have."""
        if self.head is not other.head:
            return common_length(self.to_list(), other.to_list())
        if min(self.head_tokens, other.head_tokens) < len(self.head):
            return min(self.head_tokens, other.head_tokens)  # one ends within the head
        same = shared_chunks(self.chunks, other.chunks) * CHUNK
        same += len(self.head)
        return same + common_length(self.since(same), other.since(same))

    def _after_head(self, start: int) -> Iterable[int]:
        first, within = divmod(start, CHUNK)
        if first < len(self.chunks):
            return chain(self.chunks[first][within:], *self.chunks[first + 1 :], self.tail)
        return self.tail[start - len(self.chunks) * CHUNK :]


def shared_chunks(some: Sequence[Sequence[int]], others: Sequence[Sequence[int]]) -> int:
    """Return how many leading chunks are the same; it takes nanoseconds if they are the same objects."""
    shorter = min(len(some), len(others))
    if some[:shorter] == others[:shorter]:
        return shorter
    return next(count for count, (a, b) in enumerate(zip(some, others, strict=False)) if a is not b and a != b)


def packed(head: Sequence[int], ids: Sequence[int], shared: tuple[Sequence[int], ...] = ()) -> TokenIds:
    """Return ids that follow a head, and chunks that are shared, in as few bytes as they need."""
    whole = len(ids) // CHUNK * CHUNK
    made = (compact(ids[start : start + CHUNK]) for start in range(0, whole, CHUNK))
    return TokenIds(head, tuple(ids[whole:]), len(head), (*shared, *made))


def compact(ids: Sequence[int]) -> Sequence[int]:
    """Return ids in four bytes each, a tenth of what a tuple takes. The result must not be changed."""
    return array("I", ids)


def common_prefix(sequences: Sequence[TokenIds]) -> TokenIds:
    """Return the leading ids that all of at least one sequence have."""
    return reduce(lambda shared, other: shared.prefix(shared.common(other)), sequences)


def common_length(a: Sequence[object], b: Sequence[object]) -> int:
    """Return the number of leading items (ids, or characters of texts) that both have."""
    shorter = min(len(a), len(b))
    for start in range(0, shorter, _COMPARED_AT_ONCE):  # slices compare at the speed of C
        end = start + _COMPARED_AT_ONCE
        if a[start:end] != b[start:end]:
            return next((i for i in range(start, shorter) if a[i] != b[i]), shorter)
    return shorter
