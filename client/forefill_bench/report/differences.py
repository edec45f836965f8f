"""The line under a table of answers that says why some of them differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

COLUMNS = 100
MOST_NATS_MEASURED = 0.25
"""The largest distance of two words at which answers began to differ, in the logarithm of their probabilities, in all
measurements of tests/benchmarks/rounding.md. The wire carries no probabilities, so none is known of these answers."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An arm whose answer is another one than the first arm's, and how many words both begin with."""

    arm: str
    same_words: int


def differences(texts: Mapping[str, str]) -> list[Difference]:
    """Return the arms that gave another answer than the first arm; `texts` are the answers of all by arm."""
    first, *others = ((arm, text.split()) for arm, text in texts.items())
    return [Difference(arm, _common(first[1], words)) for arm, words in others if texts[arm] != texts[first[0]]]


def differences_line(answers: Sequence[Mapping[str, str]]) -> str:
    """Return what happened in the queries whose answers differ, in lines of at most 100 columns; "" if none does.

    `answers` has one mapping for each query, from each arm to the text of its answer.
    """
    found = [difference for texts in answers for difference in differences(texts)]
    if not found:
        return ""
    first = next(iter(answers[0]))
    queries = sum(bool(differences(texts)) for texts in answers)
    arms = " and ".join(dict.fromkeys(difference.arm for difference in found))
    words = _listed(sorted({difference.same_words for difference in found}))
    return fill(
        f"NO: in {queries} of {len(answers)} queries {arms} gave another answer than {first}, after {words} equal"
        " words. A prompt that is computed in parts, or in another batch, is rounded differently, which changes an"
        f" answer where two words are almost equally likely (so far at most {MOST_NATS_MEASURED} nats apart). Plain"
        " vLLM does the same: it promises no equal answers. See tests/benchmarks/rounding.md.",
        COLUMNS,
    )


def _common(some: Sequence[str], others: Sequence[str]) -> int:
    pairs = zip(some, others, strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(some), len(others)))


def _listed(numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last
