"""How long the engine takes to compute n new tokens behind f cached ones, learnt as it runs.

    seconds(n, f) = fixed + per_token * n + per_pair * n * (f + n / 2)

The first term is what any step of the engine takes, also one that only goes on with running answers; what a piece adds
to such a step is the rest (`added_seconds`). The last term is attention: each new token looks at all before it. The
three are fitted by least squares over what was measured, where older measurements fade, held near what was known before
by a small weight: warms of one size alone say nothing about others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FADING = 0.97
_PRIOR_WEIGHT = 0.05
_THOUSAND = 1000.0
"""Pairs are counted in thousands, so that the three terms are of one size."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Seconds: fixed, for each new token, and for each thousand pairs of a new token and one before it."""

    fixed: float = 0.0
    per_token: float = 0.0
    per_thousand_pairs: float = 0.0

    def added_seconds(self, new_tokens: int, cached_tokens: int) -> float:
        """Return by how much so many new tokens behind so many cached ones lengthen a step."""
        _, tokens, pairs = _features(new_tokens, cached_tokens)
        return self.per_token * tokens + self.per_thousand_pairs * pairs


class PrefillTimes:
    """Learns from `observe`; until then it knows nothing and expects 0 seconds, whatever is asked."""

    def __init__(self) -> None:
        self.coefficients = Coefficients()
        self._squares = [[0.0] * 3 for _ in range(3)]
        self._products = [0.0] * 3

    def observe(self, new_tokens: int, cached_tokens: int, seconds: float) -> None:
        """Learn that the engine, otherwise idle, took so many seconds."""
        if new_tokens < 1:
            return
        features = _features(new_tokens, cached_tokens)
        for i in range(3):
            self._products[i] = _FADING * self._products[i] + features[i] * seconds
            for j in range(3):
                self._squares[i][j] = _FADING * self._squares[i][j] + features[i] * features[j]
        self.coefficients = self._fitted(self.coefficients)

    def seconds(self, new_tokens: int, cached_tokens: int) -> float:
        """Return the expected seconds of one piece."""
        return self.coefficients.fixed + self.added_seconds(new_tokens, cached_tokens)

    def added_seconds(self, new_tokens: int, cached_tokens: int) -> float:
        """Return by how much one piece is expected to lengthen a step that the engine does anyway."""
        return self.coefficients.added_seconds(new_tokens, cached_tokens)

    def tokens_within(self, seconds: float, cached_tokens: int) -> float:
        """Return how many new tokens behind the cached ones add so many seconds; infinite while nothing is known."""
        if seconds <= 0:
            return 0.0
        pair = self.coefficients.per_thousand_pairs / _THOUSAND
        linear = self.coefficients.per_token + pair * cached_tokens
        if pair > 0:
            return (math.sqrt(linear * linear + 2 * pair * seconds) - linear) / pair
        return seconds / linear if linear > 0 else math.inf

    def _fitted(self, prior: Coefficients) -> Coefficients:
        known = (prior.fixed, prior.per_token, prior.per_thousand_pairs)
        matrix = [row[:] for row in self._squares]
        right = self._products[:]
        for i in range(3):
            weight = _PRIOR_WEIGHT * (self._squares[i][i] or 1.0)
            matrix[i][i] += weight
            right[i] += weight * known[i]
        return Coefficients(*(max(0.0, value) for value in _solved(matrix, right)))


def _features(new_tokens: int, cached_tokens: int) -> tuple[float, float, float]:
    return 1.0, float(new_tokens), new_tokens * (cached_tokens + new_tokens / 2) / _THOUSAND


def _solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Return x of matrix x = right, for a symmetric positive matrix (Gauss)."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for i in range(size):
        for j in range(i + 1, size):
            factor = rows[j][i] / rows[i][i]
            rows[j] = [b - factor * a for a, b in zip(rows[i], rows[j], strict=True)]
    solution = [0.0] * size
    for i in reversed(range(size)):
        known = sum(rows[i][j] * solution[j] for j in range(i + 1, size))
        solution[i] = (rows[i][size] - known) / rows[i][i]
    return solution
