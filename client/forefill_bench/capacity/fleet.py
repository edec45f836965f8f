"""How many replicas a fleet of typists needs, and how they spread over them: pure.

The fullest replica has more typists than the mean. How many more depends on how sessions are assigned to replicas:

    hashed   a hash of its key draws a replica for each session, so a replica's number of typists is binomial
    placed   forefill places each session when it opens: `placing` has the numbers

A fleet is large enough here if the fullest replica carries no more than one replica can, with a probability of at least
95 %; that the fullest of R is too full is counted as R times as likely as that a given one is (the union bound, on the
safe side).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy
from forefill_service.fleet.placement import RULES, Rule
from scipy.stats import binom

from .placing import Shares, shares_of_copies

OVERFULL_PROBABILITY: Final = 0.05
NEGLIGIBLE: Final = 1e-12


class Spread(Protocol):
    """A way of assigning sessions to replicas."""

    def above(self, max_typists: int, typists: int, replicas: int) -> float:
        """Return the probability that one of the replicas has more than `max_typists`, if a fleet has `typists`."""

    def companions(self, typists: int, replicas: int) -> Iterator[tuple[int, float]]:
        """Yield each number of typists that one of them finds on its replica, itself included, and its probability."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """Sessions are drawn to replicas by a hash alone."""

    def above(self, max_typists: int, typists: int, replicas: int) -> float:
        """Return the tail of the binomial distribution."""
        return probability_above(max_typists, typists, 1 / replicas)

    def companions(self, typists: int, replicas: int) -> Iterator[tuple[int, float]]:
        """Yield the numbers: one more than a binomial one, since a typist is rather on a replica with many."""
        others = binom(typists - 1, 1 / replicas)
        least, most = others.interval(1 - NEGLIGIBLE)
        counts = numpy.arange(least, most + 1, dtype=int)
        return zip((counts + 1).tolist(), others.pmf(counts).tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class Placed:
    """Sessions are placed by `copies` of forefill, each of which has equally many of them."""

    copies: int
    rule: Rule = RULES["session"]

    def above(self, max_typists: int, typists: int, replicas: int) -> float:
        """Return the share of the replicas that have more."""
        return float(self._shares(typists, replicas)[max_typists + 1 :].sum())

    def companions(self, typists: int, replicas: int) -> Iterator[tuple[int, float]]:
        """Yield the numbers: a replica with k typists is found by k of them."""
        shares = self._shares(typists, replicas)
        found = numpy.arange(len(shares)) * shares
        found /= found.sum()
        return ((count, share) for count, share in enumerate(found.tolist()) if share > NEGLIGIBLE)

    def _shares(self, typists: int, replicas: int) -> Shares:
        if replicas == 1:
            return numpy.bincount([typists]).astype(float)
        return shares_of_copies(self.rule, typists / replicas, self.copies)


HASHED: Final = Hashed()


def replicas_needed(typists: int, max_typists: int, spread: Spread = HASHED) -> int:
    """Return how many replicas the typists need if one carries `max_typists` (at least 1)."""
    below = evenly_needed(typists, max_typists) - 1  # too few, however they spread
    enough = max(1, below)
    while not is_enough(typists, enough, max_typists, spread):
        below, enough = enough, enough * 2
    while enough - below > 1:
        middle = (below + enough) // 2
        fits = is_enough(typists, middle, max_typists, spread)
        below, enough = (below, middle) if fits else (middle, enough)
    return enough


def evenly_needed(typists: int, max_typists: int) -> int:
    """Return how many replicas they would need if all replicas had equally many typists."""
    return -(-typists // max_typists)


def is_enough(typists: int, replicas: int, max_typists: int, spread: Spread = HASHED) -> bool:
    """Return whether the fullest replica has at most `max_typists`, all but certainly."""
    return replicas * spread.above(max_typists, typists, replicas) <= OVERFULL_PROBABILITY


def probability_above(max_typists: int, typists: int, share: float) -> float:
    """Return the probability that one replica has more than `max_typists`, if each typist is there with `share`."""
    return float(binom.sf(max_typists, typists, share))


def mixed_percentile(
    samples: Mapping[int, Sequence[float]], typists: int, replicas: int, share: float, spread: Spread = HASHED
) -> float:
    """Return a percentile over all typists of a fleet.

    `samples` holds values by the number of typists on one replica. A number that is missing is replaced by the next
    larger one, or by the largest.
    """
    known = sorted(samples)
    weights = dict.fromkeys(known, 0.0)
    for count, probability in spread.companions(typists, replicas):
        weights[next((larger for larger in known if larger >= count), known[-1])] += probability
    return float(
        numpy.quantile(
            [value for count in known for value in samples[count]],
            share,
            weights=[weights[count] / len(samples[count]) for count in known for _ in samples[count]],
            method="inverted_cdf",
        )
    )
