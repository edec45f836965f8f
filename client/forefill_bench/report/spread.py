"""Percentiles, and how far each can be trusted: pure, and repeatable by a seed.

Percentiles are interpolated linearly between the two nearest values, as numpy does by default. An interval is the 95 %
bootstrap percentile interval: groups are drawn anew with replacement, the figure is computed again, and the middle 95 %
of what comes out is kept. Values that belong together (the gaps of one answer) are one group, since they are not
independent of each other.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from random import Random
from statistics import fmean
from typing import Any, Final

MOST_RESAMPLES: Final = 1000
LEAST_RESAMPLES: Final = 100
MAX_DRAWN_VALUES: Final = 500_000
"""Many values are drawn anew fewer times: it takes long, and their intervals are narrow anyway."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of values in ascending order lie; there must be at least one."""
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


FIGURES: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "p50": lambda ordered: percentile(ordered, 0.50),
    "p95": lambda ordered: percentile(ordered, 0.95),
    "p99": lambda ordered: percentile(ordered, 0.99),
    "mean": fmean,
}
"""What is told of values in ascending order."""


class Sample:
    """Measured values, in groups that are independent of each other; there must be at least one value."""

    def __init__(self, groups: Sequence[Sequence[float]], seed: int) -> None:
        self._groups = [group for group in groups if group]
        self._seed = seed
        self._ordered = _ordered(self._groups)

    @classmethod
    def single(cls, values: Sequence[float], seed: int) -> "Sample":
        """Make a sample of values that are all independent of each other."""
        return cls([(value,) for value in values], seed)

    def figure(self, name: str) -> float:
        """Return one of FIGURES."""
        return FIGURES[name](self._ordered)

    def interval(self, name: str) -> tuple[float, float]:
        """Return its 95 % interval."""
        return _middle(self._resampled[name])

    def ratio(self, other: "Sample", name: str) -> tuple[float, tuple[float, float]]:
        """Return this sample's figure divided by another sample's, and the ratio's 95 % interval."""
        pairs = zip(self._resampled[name], other._resampled[name], strict=False)
        return _divided(self.figure(name), other.figure(name)), _middle([_divided(one, two) for one, two in pairs])

    def as_json(self) -> dict[str, Any]:
        """Return number, figures and intervals."""
        told: dict[str, Any] = {"n": len(self._ordered), "max": round(self._ordered[-1], 3)}
        for name in FIGURES:
            told[name] = round(self.figure(name), 3)
            told[f"{name}_interval"] = [round(end, 3) for end in self.interval(name)]
        return told

    @cached_property
    def _resampled(self) -> dict[str, list[float]]:
        rng = Random(self._seed)  # noqa: S311 (statistics, not secrets)
        rounds = max(LEAST_RESAMPLES, min(MOST_RESAMPLES, MAX_DRAWN_VALUES // len(self._ordered)))
        found: dict[str, list[float]] = {name: [] for name in FIGURES}
        for _ in range(rounds):
            drawn = _ordered(rng.choices(self._groups, k=len(self._groups)))
            for name, figure in FIGURES.items():
                found[name].append(figure(drawn))
        return found


def _ordered(groups: Sequence[Sequence[float]]) -> list[float]:
    return sorted(value for group in groups for value in group)


def _middle(values: list[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return percentile(ordered, 0.025), percentile(ordered, 0.975)


def _divided(one: float, two: float) -> float:
    return one / two if two else float("inf")
