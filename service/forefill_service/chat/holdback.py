"""How many trailing tokens of a text its continuation may still change, as measured for one tokenizer.

A tokenizer may merge the end of a text with what follows it. How much of the end changes depends on the tokenizer and
on the script, so it is measured: every cut of every sample is tokenized and compared with the whole sample. What a text
needs is then read off the class of its last character. On texts that it was not measured on, this is wrong at fewer
than 2 % of all code points in every script; a wrong id costs a miss of one block, never a wrong answer.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from .samples import SAMPLES
from .token_ids import common_length

_PIECE = 64
"""Code points of a sample that are tokenized at once: the time of measuring grows with it."""
_LEAST_CUTS = 30
"""A class with fewer cuts is unknown."""
_RARE = 0.05
"""If a larger share of a script's cuts changed two tokens or more, and none more, words not tried will change more."""
_MOST_TOKENS = 8
"""More is never held back: to miss a block now and then costs less than to be late by half of one always."""


class Holdback:
    """The numbers of tokens to hold back, by the class of a text's last character.

    `unknown` holds for the classes that are not in `by_class`.
    """

    def __init__(self, by_class: Mapping[str, int], unknown: int) -> None:
        self._by_class = dict(by_class)
        self._unknown = unknown

    @classmethod
    def measured(cls, encode: Callable[[str], Sequence[int]], every: int = 1) -> "Holdback":
        """Measure a tokenizer: 5,000 short texts, a tenth of a second or two with a fast tokenizer.

        With `every` = n only each n-th cut is tried, for slow ones.
        """
        changed: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for piece in _pieces():
            whole = encode(piece)
            for end in range(1, len(piece), every):
                ids = encode(piece[:end])
                changed[class_of(piece[:end])][len(ids) - common_length(ids, whole)] += every
        known = {kind: _need(kind, counts) for kind, counts in changed.items() if counts.total() >= _LEAST_CUTS}
        return cls(known, max(known.values()))

    def tokens(self, text: str) -> int:
        """Return how many trailing tokens of this text are not sure to stay as they are if it goes on."""
        return self._by_class.get(class_of(text), self._unknown) if text else 0


def class_of(text: str) -> str:
    """Return the class of a text's last character: its script if it is a letter or a mark, else its category."""
    last = text[-1]
    if last.isspace():
        return "line break" if last in "\n\r" else "space"
    category = unicodedata.category(last)
    if category[0] in "LM":
        return unicodedata.name(last, "?").partition(" ")[0].partition("-")[0]
    return "digit" if category[0] == "N" else category


def is_script(kind: str) -> bool:
    """Return whether a class is a script."""
    return kind.isupper()


def _need(kind: str, changed: Mapping[int, int]) -> int:
    """Return what a class needs: the most tokens that any cut of it changed, one more if that was not a rare case."""
    most = max(changed)
    rare = changed[most] < _RARE * sum(changed.values())
    return min(most if rare or most < 2 or not is_script(kind) else most + 1, _MOST_TOKENS)


def _pieces() -> Iterator[str]:
    for sample in SAMPLES:
        for start in range(0, len(sample), _PIECE):
            yield sample[start : start + _PIECE]
