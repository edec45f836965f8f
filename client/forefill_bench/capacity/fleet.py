"""How many replicas a fleet of typists needs, and how they spread over them: pure.

A router that hashes session keys (rendezvous or consistent hashing) draws a replica for each session, so a replica's
number of typists is binomial, and the fullest replica has more than the mean. A fleet is large enough here if the
fullest replica carries no more than one replica can, with a probability of at least 95 %; that the fullest of R is too
full is counted as R times as likely as that a given one is (the union bound, on the safe side).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy
from scipy.stats import binom

OVERFULL_PROBABILITY: Final = 0.05
NEGLIGIBLE: Final = 1e-12


def replicas_needed(typists: int, max_typists: int) -> int:
    """Return how many replicas the typists need if one carries `max_typists` (at least 1)."""
    below = evenly_needed(typists, max_typists) - 1  # too few, however they spread
    enough = max(1, below)
    while not is_enough(typists, enough, max_typists):
        below, enough = enough, enough * 2
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (below, middle) if is_enough(typists, middle, max_typists) else (middle, enough)
    return enough


def evenly_needed(typists: int, max_typists: int) -> int:
    """Return how many replicas they would need if all replicas had equally many typists."""
    return -(-typists // max_typists)


def is_enough(typists: int, replicas: int, max_typists: int) -> bool:
    """Return whether the fullest replica has at most `max_typists`, all but certainly."""
    return replicas * probability_above(max_typists, typists, 1 / replicas) <= OVERFULL_PROBABILITY


def probability_above(max_typists: int, typists: int, share: float) -> float:
    """Return the probability that one replica has more than `max_typists`, if each typist is there with `share`."""
    return float(binom.sf(max_typists, typists, share))


def companions(typists: int, replicas: int) -> Iterator[tuple[int, float]]:
    """Yield each number of typists that one of them finds on its replica, itself included, and its probability.

    A typist is on a full replica more often than a replica is full: the number is one more than a binomial one.
    """
    others = binom(typists - 1, 1 / replicas)
    least, most = others.interval(1 - NEGLIGIBLE)
    counts = numpy.arange(least, most + 1, dtype=int)
    return zip((counts + 1).tolist(), others.pmf(counts).tolist(), strict=True)


def mixed_percentile(samples: Mapping[int, Sequence[float]], typists: int, replicas: int, share: float) -> float:
    """Return a percentile over all typists of a fleet.

    `samples` holds values by the number of typists on one replica. A number that is missing is replaced by the next
    larger one, or by the largest.
    """
    known = sorted(samples)
    weights = dict.fromkeys(known, 0.0)
    for count, probability in companions(typists, replicas):
        weights[next((larger for larger in known if larger >= count), known[-1])] += probability
    return float(
        numpy.quantile(
            [value for count in known for value in samples[count]],
            share,
            weights=[weights[count] / len(samples[count]) for count in known for _ in samples[count]],
            method="inverted_cdf",
        )
    )
