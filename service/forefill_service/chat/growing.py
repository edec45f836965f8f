"""The ids of a text that is tokenized again and again while it grows.

After an edit only a window around it is tokenized: from a token well before the first changed character to the end of
the text. A text that begins in the middle of another may be tokenized otherwise at its beginning, so the window counts
only if its tokens agree with the old ones in a long run right before the edit; else the text is tokenized whole. An
edit far from the end costs as much as the text after it. In texts that nobody types, such as hundreds of numerals
without a space, a tokenizer may agree in that run and still have other tokens in the whole text: what is warmed then
misses.

What is long is tokenized in pieces, each as if it were typed behind the one before: a tokenizer hands over the ids and
ends of a text in one go, and the event loop waits for that as any thread does.
"""

import sys
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol
from unicodedata import combining

from ..errors import Reason, Refusal
from .token_ids import CHUNK, TokenIds, common_length, packed

_BEFORE_EDIT = 8
"""Tokens before the edit that are not trusted: what comes after them may have changed them."""
_AGREEING = 12
"""Tokens before those that the window must have made as they were."""
_LEAD_IN = 4
"""Tokens at the beginning of the window that may differ."""
PIECE = 4096
"""Code points that are tokenized at once."""


class Encoder(Protocol):
    """What it takes to tokenize a text."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""

    def encode_with_ends(self, text: str) -> tuple[list[int], list[int]] | None:
        """Return the ids of a text and the code points before the end of each; None if the tokenizer cannot tell."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text, its ids, and the position in the text at which each of them ends."""

    text: str
    ids: TokenIds
    ends: "array[int]"


class GrowingText:
    """Tokenizes the versions of one text, each with the help of the one before.

    One of more than `most_tokens` is refused, and so is what begins as one that was, without being tokenized. What is
    new is tokenized in pieces of so many code points. Several threads may call it at once: what is kept are immutable
    values, replaced as a whole.
    """

    def __init__(self, encoder: Encoder, most_tokens: int = sys.maxsize, piece: int = PIECE) -> None:
        self._encoder = encoder
        self._most_tokens = most_tokens
        self._piece = piece
        self._last: Tokens | None = None
        self._too_long: str | None = None

    def tokens(self, text: str) -> Tokens:
        """Return the tokens of this version; raises Refusal (PROMPT_TOO_LONG)."""
        if self._too_long is not None and text.startswith(self._too_long):
            raise Refusal(Reason.PROMPT_TOO_LONG, f"the draft alone has more than {self._most_tokens} tokens")
        made = self._made(text)
        if (tokens := len(made.ids)) > self._most_tokens:
            self._too_long = self._beginning_of(made)
            raise Refusal(Reason.PROMPT_TOO_LONG, f"the draft alone has {tokens} tokens of {self._most_tokens}")
        self._last = made
        return made

    def _beginning_of(self, made: Tokens) -> str | None:
        """Return as much of a text that is too long as is too long itself, whatever follows it; None if unknown."""
        enough = self._most_tokens + _BEFORE_EDIT
        return made.text[: made.ends[enough]] if len(made.ends) > enough else None

    def _made(self, text: str) -> Tokens:
        """Return the tokens of a text, made of the last ones and of pieces, or whole if that would not be sure."""
        made, end = None, 0
        if self._last is not None:
            end = _unchanged(self._last.text, text) + self._piece
            made = self._spliced(self._last, text[:end])
        if made is None:
            end = self._piece
            made = self._whole(text[:end])
        while made is not None and end < len(text):
            end += self._piece
            made = self._spliced(made, text[:end])
        return self._whole(text) if made is None else made

    def _whole(self, text: str) -> Tokens:
        if (found := self._encoder.encode_with_ends(text)) is None:
            return Tokens(text, TokenIds((), tuple(self._encoder.encode(text))), array("I"))
        ids, ends = found
        return Tokens(text, packed((), ids), array("I", ends))

    def _spliced(self, last: Tokens, text: str) -> Tokens | None:
        """Return the tokens of a text made of the last ones and a window; None if that would not be sure."""
        known = bisect_right(last.ends, _unchanged(last.text, text)) - _BEFORE_EDIT
        begin = known - _AGREEING - _LEAD_IN
        if begin <= 0:
            return None
        known = bisect_right(last.ends, last.ends[known - 1])  # a character may be several tokens
        start = last.ends[begin - 1]
        if (found := self._encoder.encode_with_ends(text[start:])) is None:
            return None
        ids, ends = found[0], array("I", [start + end for end in found[1]])
        position = bisect_right(ends, last.ends[known - 1])
        run = slice(position - _AGREEING, position)
        if position < _AGREEING or ends[run] != last.ends[known - _AGREEING : known]:
            return None
        whole = (known - _AGREEING) // CHUNK
        old = last.ids.since(whole * CHUNK)[: known - whole * CHUNK]
        if tuple(ids[run]) != old[-_AGREEING:]:
            return None
        kept = last.ends[:known]
        kept.extend(ends[position:])
        return Tokens(text, packed((), [*old, *ids[position:]], last.ids.chunks[:whole]), kept)


def _unchanged(old: str, new: str) -> int:
    """Return how many characters both begin with, but for one that a mark after them belongs to.

    Some tokenizers put the marks on a character in order first, so a mark may change those before it.
    """
    same = len(old) if new.startswith(old) else common_length(old, new)
    if any(combining(character) for character in (old[same : same + 1], new[same : same + 1]) if character):
        while same and combining(new[same - 1]):
            same -= 1
    return same
