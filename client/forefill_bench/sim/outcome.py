"""The result of one simulated window."""

from dataclasses import dataclass

import numpy


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedOutcome:
    """How one arm served its typists on one replica."""

    arm: str
    typists: int
    #: From the instant of Enter, of every SUBMIT that was counted and answered.
    ttft_ms: tuple[float, ...]
    #: SUBMITs that were counted and not answered.
    failures: int
    prompt_tokens: int
    cached_tokens: int
    #: How long it was counted, and of that: how long the engine worked, and how long for warms.
    seconds: float
    busy_seconds: float
    warm_seconds: float
    #: Prompt tokens that warms computed.
    warm_tokens: int
    #: Answers that were begun before Enter.
    adopted: int = 0
    #: Of the background traffic.
    neighbours_ttft_ms: tuple[float, ...] = ()
    neighbours_gaps_ms: tuple[float, ...] = ()

    def ttft(self, share: float) -> float:
        """Return a percentile of the time to the first token, in milliseconds; infinite if a SUBMIT has no answer."""
        return float(numpy.quantile(self.ttft_ms, share)) if self.ttft_ms and not self.failures else float("inf")

    @property
    def hit_share(self) -> float:
        """How much of the prompts was cached at Enter, 0 to 1."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    @property
    def busy_share(self) -> float:
        """How much of the time the engine worked, 0 to 1."""
        return self.busy_seconds / self.seconds

    @property
    def warm_share(self) -> float:
        """How much of the time the engine worked for warms, 0 to 1."""
        return self.warm_seconds / self.seconds

    @property
    def warm_tokens_per_second(self) -> float:
        """Prompt tokens that warms computed a second."""
        return self.warm_tokens / self.seconds
