"""The time that an engine takes to compute n new tokens after f cached ones, and to make an answer; learnt as it runs.

    seconds(n, f) = fixed + per_token * n + per_pair * n * (f + n / 2)

The first term is the cost of any step of the engine, including one that only continues running answers; a piece adds
the rest to such a step (`added_seconds`). The last term is attention: each new token attends to all tokens before it.
The three are fitted by least squares to the measurements, with older ones fading, and are held near their previous
values by a small weight, because warms of one size say nothing about others.

The steps of answers are timed as they come, whatever else is in them; a moving average of those is the time of a step.
"""

import math
from dataclasses import dataclass

import numpy

_FADING = 0.97
_PRIOR_WEIGHT = 0.05
_STEP_WEIGHT = 0.1
_THOUSAND = 1000.0
"""Pairs are counted in thousands, so that the three terms have similar magnitudes."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Seconds: fixed, for each new token, and for each thousand pairs of a new token and one before it."""

    fixed: float = 0.0
    per_token: float = 0.0
    per_thousand_pairs: float = 0.0

    def added_seconds(self, new_tokens: int, cached_tokens: int) -> float:
        """Return how many seconds these new tokens after these cached ones add to a step."""
        _, tokens, pairs = _features(new_tokens, cached_tokens)
        return self.per_token * tokens + self.per_thousand_pairs * pairs


class PrefillTimes:
    """Learns from `observe`; before the first measurement it expects 0 seconds for everything."""

    def __init__(self) -> None:
        self.coefficients = Coefficients()
        self._step_seconds: float | None = None
        self._squares = numpy.zeros((3, 3))
        self._products = numpy.zeros(3)

    def observe(self, new_tokens: int, cached_tokens: int, seconds: float) -> None:
        """Learn from a prompt that an otherwise idle engine computed in this time."""
        if new_tokens < 1:
            return
        features = numpy.array(_features(new_tokens, cached_tokens))
        self._products = _FADING * self._products + features * seconds
        self._squares = _FADING * self._squares + numpy.outer(features, features)
        self.coefficients = self._fitted(self.coefficients)

    def observe_steps(self, seconds: float, steps: int) -> None:
        """Learn from an answer that took this long from its first token to its last, in this many steps."""
        if steps > 0:
            last, now = self._step_seconds, seconds / steps
            self._step_seconds = now if last is None else last + _STEP_WEIGHT * (now - last)

    @property
    def step_seconds(self) -> float:
        """The time of a step that makes one more token of an answer."""
        return self.coefficients.fixed if self._step_seconds is None else self._step_seconds

    def request_seconds(self, new_tokens: int, cached_tokens: int, made_tokens: int) -> float:
        """Return the engine's seconds for a request that computes `new_tokens` and makes `made_tokens` of an answer.

        If only part of a prompt is known, fewer tokens may be known than were found cached: then none are new.
        """
        prompt_seconds = self.coefficients.fixed + self.added_seconds(max(0, new_tokens), cached_tokens)
        return prompt_seconds + max(0, made_tokens - 1) * self.step_seconds

    def added_seconds(self, new_tokens: int, cached_tokens: int) -> float:
        """Return how many seconds a piece is expected to add to a step that the engine does anyway."""
        return self.coefficients.added_seconds(new_tokens, cached_tokens)

    def tokens_within(self, seconds: float, cached_tokens: int) -> float:
        """Return how many new tokens after the cached ones add this many seconds; infinite if nothing is known."""
        if seconds <= 0:
            return 0.0
        pair = self.coefficients.per_thousand_pairs / _THOUSAND
        linear = self.coefficients.per_token + pair * cached_tokens
        if pair > 0:
            return (math.sqrt(linear * linear + 2 * pair * seconds) - linear) / pair
        return seconds / linear if linear > 0 else math.inf

    def _fitted(self, prior: Coefficients) -> Coefficients:
        known = (prior.fixed, prior.per_token, prior.per_thousand_pairs)
        weights = _PRIOR_WEIGHT * self._squares.diagonal()
        fitted = numpy.linalg.solve(self._squares + numpy.diag(weights), self._products + weights * known)
        return Coefficients(*(max(0.0, value) for value in fitted.tolist()))


def _features(new_tokens: int, cached_tokens: int) -> tuple[float, float, float]:
    return 1.0, float(new_tokens), new_tokens * (cached_tokens + new_tokens / 2) / _THOUSAND
