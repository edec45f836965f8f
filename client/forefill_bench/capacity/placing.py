"""How many typists a replica has if forefill places them: pure.

Each copy of forefill places a session by the service's own rule (`forefill_service.fleet.placement`), on its own count
of sessions. Of one copy with m sessions a replica, let s(k) be the share of replicas that have at least k of them. A
session that opens finds d candidates, and as often one ends. Then replicas go from k sessions to k + 1 as often as back
(Mitzenmacher 1996, "The power of two choices in randomized load balancing"; the bound is added):

    m * (s(k)^d - s(k+1)^d + s(full)^d * (s(k) - s(k+1)) / (1 - s(full)))  =  (k + 1) * (s(k+1) - s(k+2)),  k < full

Its first part is the least loaded of d candidates, the second the next replica in order if all d are full. From a
guess of s(full) the others follow, and the right guess gives s(0) = 1.

Copies do not know of each other's sessions, so a replica's typists are a sum of independent counts. What servers report
of other copies' requests is left out: it only decides between equals. The equations are those of many replicas.
"""

import math
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy
from forefill_service.fleet.placement import Rule
from numpy.typing import NDArray

HALVINGS: Final = 80
NEWTON_STEPS: Final = 100
LEAST_LOG: Final = -170.0
"""The logarithm of the least share that its d-th power can be told from 0 of: rarer counts are left out."""
ABOVE_MEAN: Final = 12
"""A replica has never this many more than the mean: each more is rarer by the d-th power."""

Shares = NDArray[numpy.float64]
"""The share of replicas that have 0, 1, 2, ... sessions."""


def shares_of_copies(rule: Rule, mean: float, copies: int) -> Shares:
    """Return the shares of replicas by their sessions, if there are `mean` a replica, equally many of each copy."""
    one, all_of_them = numpy.array(shares_of_one(rule, mean / copies)), numpy.ones(1)
    for _ in range(copies):
        all_of_them = numpy.convolve(all_of_them, one)
    return all_of_them


@lru_cache(maxsize=4096)
def shares_of_one(rule: Rule, mean: float) -> tuple[float, ...]:
    """Return the shares of replicas by the sessions of one copy, which has `mean` a replica (above 0).

    The rule has two candidates or more.
    """
    full = rule.most_sessions(mean)
    top = min(full, math.ceil(mean) + ABOVE_MEAN)
    while _least(rule, mean, full, top, LEAST_LOG) is None:
        top -= 1
    low, high = LEAST_LOG, 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _least(rule, mean, full, top, middle) is None else (middle, high)
    least = _least(rule, mean, full, top, low) or [1.0]
    return tuple(here - above for here, above in pairwise([*least, 0.0]))


def _least(rule: Rule, mean: float, full: int, top: int, log_share: float) -> list[float] | None:
    """Return s(0), ..., s(top), from the logarithm of the last; None if that is too large, so that s(0) is above 1."""
    above, here = 0.0, math.exp(log_share)
    rest = here**rule.candidates / (1 - here) if top == full and here < 1 else 0.0
    least = [here]
    for count in range(top, 0, -1):
        flow = here**rule.candidates + rest * here + count * (here - above) / mean
        above, here = here, _root(rule.candidates, rest, flow)
        if here > 1:
            return None
        least.append(here)
    return least[::-1]


def _root(power: int, slope: float, value: float) -> float:
    """Return the x >= 0 at which x^power + slope * x has this value."""
    x = math.pow(value, 1 / power)
    for _ in range(NEWTON_STEPS if slope else 0):
        step = (math.pow(x, power) + slope * x - value) / (power * math.pow(x, power - 1) + slope)
        x -= step
        if abs(step) <= 1e-16 * x:
            break
    return x
