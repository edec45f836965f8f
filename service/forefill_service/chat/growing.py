"""The ids of a text that is tokenized again and again while it grows.

After an edit only a window around it is tokenized: from a token well before the first changed character to the end of
the text. A text that begins in the middle of another may be tokenized otherwise at its beginning, so the window counts
only if its tokens agree with the old ones in a long run right before the edit; else the text is tokenized whole. An
edit far from the end costs as much as the text after it.

What is long is tokenized in pieces, each as if it were typed behind the one before: a tokenizer hands over the ids and
ends of a text in one go, and the event loop waits for that as any thread does.
"""

import sys
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

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
        made = self._in_pieces(text, self._last) or self._in_pieces(text) or self._whole(text)
        if (tokens := len(made.ids)) > self._most_tokens:
            self._too_long = self._beginning_of(made)
            raise Refusal(Reason.PROMPT_TOO_LONG, f"the draft alone has {tokens} tokens of {self._most_tokens}")
        self._last = made
        return made

    def _beginning_of(self, made: Tokens) -> str | None:
        """Return as much of a text that is too long as is too long itself, whatever follows it; None if unknown."""
        enough = self._most_tokens + _BEFORE_EDIT
        return made.text[: made.ends[enough]] if len(made.ends) > enough else None

    def _in_pieces(self, text: str, last: Tokens | None = None) -> Tokens | None:
        """Return the tokens of a text made of the last ones and of pieces; None if that would not be sure."""
        known = 0 if last is None else _common_text(last.text, text)
        for end in range(known, max(len(text), known + 1), self._piece):
            begun = text[: end + self._piece]
            last = self._whole(begun) if last is None else self._spliced(last, begun)
            if last is None:
                return None
        return last

    def _whole(self, text: str) -> Tokens:
        if (found := self._encoder.encode_with_ends(text)) is None:
            return Tokens(text, TokenIds((), tuple(self._encoder.encode(text))), array("I"))
        ids, ends = found
        return Tokens(text, packed((), ids), array("I", ends))

    def _spliced(self, last: Tokens, text: str) -> Tokens | None:
        """Return the tokens of a text made of the last ones and a window; None if that would not be sure."""
        known = bisect_right(last.ends, _common_text(last.text, text)) - _BEFORE_EDIT
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


def _common_text(old: str, new: str) -> int:
    return len(old) if new.startswith(old) else common_length(old, new)
