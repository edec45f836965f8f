"""The frame of a turn's prompts: what the template puts around the draft, tokenized once.

Fast tokenizers cut a text at its special tokens first and tokenize the parts on their own, so the ids before the last
special token ahead of the draft (the head) cannot depend on the draft.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .token_ids import common_length, compact

_DRAFTS = ("a", " 7")
"""Two drafts that have nothing in common; neither ends in white space, which some templates trim."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The text before the draft and the text after it; the first `cut` code points are the head.

    There is no common text after it (None) if the template does more with the draft than to trim it.
    """

    before: str
    after: str | None
    cut: int
    head: Sequence[int]

    @classmethod
    def made(
        cls, render: Callable[[str], str], encode: Callable[[str], list[int]], split_texts: Sequence[str]
    ) -> "Frame":
        """Render a turn twice and tokenize its head; `split_texts` are the tokens at which tokenization restarts.

        Raises what rendering raises.
        """
        one, other = (render(draft) for draft in _DRAFTS)
        before = one[: common_length(one, other)]
        after = one[len(before) + len(_DRAFTS[0]) :]
        cut, head = _head(one, before, encode, split_texts)
        return cls(before, after if other.endswith(after) else None, cut, head)

    def opens(self, text: str) -> bool:
        """Return whether a rendering begins as this one: a date in the template may have changed, for one."""
        return text.startswith(self.before)


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
