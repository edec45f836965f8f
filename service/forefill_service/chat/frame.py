"""The frame of a turn's prompts: what the template puts around the draft, tokenized once.

Fast tokenizers cut a text at its special tokens first and tokenize the parts on their own, so the ids before the last
special token ahead of the draft (the head) cannot depend on the draft.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from .token_ids import TokenIds, common_length, compact, packed

_DRAFTS = ("a", " 7")
"""Two drafts that have nothing in common; neither ends in white space, which some templates trim."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The text before the draft, as its length and digest, and the text after it.

    The first `cut` code points are the head; `base` are the ids of all before the draft that no draft changes. There is
    no common text after it (None) if the template does more with the draft than to trim it. The text itself is not
    kept: an idle session has it in its messages already.
    """

    length: int
    digest: bytes
    after: str | None
    cut: int
    base: TokenIds

    @property
    def head(self) -> Sequence[int]:
        """The ids of the head."""
        return self.base.head

    @classmethod
    def made(
        cls,
        render: Callable[[str], str],
        encode: Callable[[str], list[int]],
        split_texts: Sequence[str],
        held_back: Callable[[str], int],
    ) -> "Frame":
        """Render a turn twice and tokenize what is before the draft.

        `split_texts` are the tokens at which tokenization restarts; `held_back` says how many tokens at the end of a
        text may still change. Raises what rendering raises.
        """
        one, other = (render(draft) for draft in _DRAFTS)
        before = one[: common_length(one, other)]
        after = one[len(before) + len(_DRAFTS[0]) :]
        cut, head = _head(one, before, encode, split_texts)
        header = before[cut:]
        base = packed(head, encode(header))
        base = base.prefix(max(len(head), len(base) - held_back(header)))
        return cls(len(before), _digest(before), after if other.endswith(after) else None, cut, base)

    def opens(self, text: str) -> bool:
        """Return whether a rendering begins as this one: a date in the template may have changed, for one."""
        return len(text) >= self.length and _digest(text[: self.length]) == self.digest


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=32).digest()


def _head(
    text: str, before: str, encode: Callable[[str], list[int]], split_texts: Sequence[str]
) -> tuple[int, Sequence[int]]:
    """Return where the head ends, and its ids; none if the text cannot be cut."""
    cut = max((before.rfind(special) for special in split_texts), default=-1)
    header = before[cut:]
    if cut <= 0 or any(longer.startswith(header) and longer != header for longer in split_texts):
        return 0, ()
    head = encode(text[:cut])
    if [*head, *encode(text[cut:])] != encode(text):
        return 0, ()
    return cut, compact(head)
