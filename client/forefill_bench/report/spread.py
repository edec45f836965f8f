"""Percentiles, and how far each can be trusted: pure, and repeatable by a seed.

An interval is the 95 % bootstrap percentile interval: groups are drawn with replacement, the figure is computed again,
and the middle 95 % of the outcomes are kept. Values that belong together (the gaps of one answer) are one group, since
they are not independent of each other. Samples of equally many groups and one seed draw the same groups, so that the
ratio of two arms is that of the same queries.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MOST_RESAMPLES: Final = 1000
LEAST_RESAMPLES: Final = 100
MAX_DRAWN_VALUES: Final = 500_000
"""Large samples are drawn fewer times: it takes long, and their intervals are narrow anyway."""


def percentile(values: Sequence[float] | Values, share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie, interpolated; there must be at least one."""
    return float(np.percentile(values, share * 100))


PERCENTILES: Final = {"p50": 50, "p95": 95, "p99": 99}
FIGURES: Final = (*PERCENTILES, "mean")
"""The figures of a sample."""


def _figures(values: Values) -> dict[str, Values]:
    """Return each figure along the last axis."""
    figures = (*np.percentile(values, list(PERCENTILES.values()), axis=-1), np.mean(values, axis=-1))
    return dict(zip(FIGURES, figures, strict=True))


class Sample:
    """Measured values, in groups that are independent of each other; there must be at least one value."""

    def __init__(self, groups: Sequence[Sequence[float]], seed: int) -> None:
        self._groups = [np.asarray(group, float) for group in groups if group]
        self._seed = seed
        self._values = np.concatenate(self._groups)

    @classmethod
    def single(cls, values: Sequence[float], seed: int) -> "Sample":
        """Make a sample of values that are all independent of each other."""
        return cls([(value,) for value in values], seed)

    def figure(self, name: str) -> float:
        """Return one of FIGURES."""
        return float(_figures(self._values)[name])

    def interval(self, name: str) -> tuple[float, float]:
        """Return its 95 % interval."""
        return _middle(self._resampled[name])

    def ratio(self, other: "Sample", name: str) -> tuple[float, tuple[float, float]]:
        """Return this sample's figure divided by another sample's, and the ratio's 95 % interval."""
        pairs = zip(self._resampled[name], other._resampled[name], strict=False)  # a large sample has fewer rounds
        return _divided(self.figure(name), other.figure(name)), _middle([_divided(one, two) for one, two in pairs])

    def as_json(self) -> dict[str, Any]:
        """Return number, figures and intervals."""
        figures: dict[str, Any] = {"n": len(self._values), "max": round(float(self._values.max()), 3)}
        for name in FIGURES:
            figures[name] = round(self.figure(name), 3)
            figures[f"{name}_interval"] = [round(end, 3) for end in self.interval(name)]
        return figures

    @cached_property
    def _resampled(self) -> dict[str, Values]:
        count = len(self._groups)
        rounds = max(LEAST_RESAMPLES, min(MOST_RESAMPLES, MAX_DRAWN_VALUES // len(self._values)))
        drawn = np.random.default_rng(self._seed).integers(count, size=(rounds, count))
        if count == len(self._values):  # each value is a group: all rounds at once
            return _figures(self._values[drawn])
        found = [_figures(np.concatenate([self._groups[index] for index in indices])) for indices in drawn]
        return {name: np.array([figures[name] for figures in found]) for name in FIGURES}


def _middle(values: Sequence[float] | Values) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):  # ratios to nothing are infinite
        return percentile(values, 0.025), percentile(values, 0.975)


def _divided(one: float, two: float) -> float:
    return one / two if two else float("inf")
