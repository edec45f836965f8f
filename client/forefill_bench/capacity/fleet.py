"""How many replicas a fleet of typists needs, and how they spread over them: pure.

A router that hashes session keys (rendezvous or consistent hashing) puts each session on a replica of its own drawing,
so a replica's number of typists is binomial, and the fullest replica has more than the mean. A fleet is large enough
here if the fullest replica carries no more than one replica can, with a probability of 95 % at least; that the fullest
of R is too full is taken for at most R times as likely as that a given one is (the union bound, on the safe side).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

OVERFULL_PROBABILITY: Final = 0.05
NEGLIGIBLE: Final = 1e-9


def replicas_needed(typists: int, most: int) -> int:
    """Return how many replicas so many typists need, where one carries at most `most` (at least 1)."""
    below = evenly_needed(typists, most) - 1  # that many are too few however they spread
    enough = max(1, below)
    while not is_enough(typists, enough, most):
        below, enough = enough, enough * 2
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (below, middle) if is_enough(typists, middle, most) else (middle, enough)
    return enough


def evenly_needed(typists: int, most: int) -> int:
    """Return how many replicas they would need if all replicas had equally many."""
    return -(-typists // most)


def is_enough(typists: int, replicas: int, most: int) -> bool:
    """Tell whether the fullest replica carries at most `most`, all but certainly."""
    return replicas * probability_above(most, typists, 1 / replicas) <= OVERFULL_PROBABILITY


def probability_above(most: int, typists: int, share: float) -> float:
    """Return how likely more than `most` of the typists are on one replica, each with the probability `share`.

    Where `most` is below the mean it is likely anyway, and 1.
    """
    if most >= typists:
        return 0.0
    if most + 1 <= typists * share:
        return 1.0
    total = 0.0
    for count in range(most + 1, typists + 1):
        term = _probability(count, typists, share)
        total += term
        if term <= total * NEGLIGIBLE:
            break
    return total


def companions(typists: int, replicas: int) -> Iterator[tuple[int, float]]:
    """Yield how many typists, oneself among them, a typist finds on the own replica, and how likely that is.

    A typist is on a full replica more often than a replica is full: it is one more than a binomial number.
    """
    others, share = typists - 1, 1 / replicas
    if replicas == 1:
        yield typists, 1.0
        return
    spread = 8 * math.sqrt(others * share) + 8
    for count in range(max(0, int(others * share - spread)), min(others, int(others * share + spread)) + 1):
        yield count + 1, _probability(count, others, share)


def mixed_percentile(samples: Mapping[int, Sequence[float]], typists: int, replicas: int, share: float) -> float:
    """Return a percentile over all typists of a fleet.

    `samples` holds values by the number of typists on one replica. A number that is not among them is taken for the
    next larger one, and where there is none, for the largest.
    """
    known = sorted(samples)
    weights = dict.fromkeys(known, 0.0)
    for count, probability in companions(typists, replicas):
        weights[next((larger for larger in known if larger >= count), known[-1])] += probability
    values = sorted((value, weights[count] / len(samples[count])) for count in known for value in samples[count])
    wanted = share * sum(weight for _, weight in values)
    for value, weight in values:
        wanted -= weight
        if wanted <= 0:
            return value
    return values[-1][0]


def _probability(count: int, typists: int, share: float) -> float:
    """Return the binomial probability, for a share below 1."""
    ways = math.lgamma(typists + 1) - math.lgamma(count + 1) - math.lgamma(typists - count + 1)
    return math.exp(ways + count * math.log(share) + (typists - count) * math.log1p(-share))
