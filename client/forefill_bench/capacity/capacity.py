"""How many typists one replica carries, and what a fleet of them then costs and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..sim.outcome import SimulatedOutcome
from .fleet import HASHED, Spread, evenly_needed, mixed_percentile, replicas_needed

Simulate = Callable[[str, int], SimulatedOutcome]
"""Simulates an arm with a number of typists on one replica."""

SEARCH_LIMIT: Final = 4096
"""The search for what one replica carries ends at this many typists."""
PRECISION: Final = 20
"""The number is found to within a twentieth of it."""


@dataclass(slots=True)
class Capacity:
    """What is known of one replica: every simulation once, in `outcomes` by arm and number of typists."""

    simulate: Simulate
    target_ms: float
    outcomes: dict[tuple[str, int], SimulatedOutcome] = field(default_factory=dict)

    def outcome(self, arm: str, typists: int) -> SimulatedOutcome:
        """Return the outcome of an arm with that many typists, simulated if it was not yet."""
        if (arm, typists) not in self.outcomes:
            self.outcomes[arm, typists] = self.simulate(arm, typists)
        return self.outcomes[arm, typists]

    def max_typists(self, arm: str) -> int:
        """Return how many one replica carries with the 95th percentile of TTFT within the target; 0: not even one."""
        good, bad = 0, 1
        while self._carries(arm, bad):
            good, bad = bad, bad * 2
            if good >= SEARCH_LIMIT:
                return good
        while bad - good > max(1, good // PRECISION):
            middle = (good + bad) // 2
            good, bad = (middle, bad) if self._carries(arm, middle) else (good, middle)
        return good

    def loads(self, arm: str) -> list[int]:
        """Return the numbers of typists with which an arm was simulated, in ascending order."""
        return sorted(typists for name, typists in self.outcomes if name == arm)

    def _carries(self, arm: str, typists: int) -> bool:
        return self.outcome(arm, typists).ttft(0.95) <= self.target_ms


@dataclass(frozen=True, slots=True)
class Waits:
    """A fleet's typists' times to the first token in one arm, in milliseconds."""

    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """A number of typists on as many replicas as `typed` needs for them."""

    typists: int
    replicas: int
    #: As many as would do if every replica had equally many typists.
    evenly: int
    #: As many as would be needed if a hash alone drew a replica for each session.
    hashed: int
    #: What each arm needs for the same target; None if no number of replicas is enough.
    needed: dict[str, int | None]
    #: How each arm serves them on these `replicas`.
    served: dict[str, Waits]


def plan_fleet(
    capacity: Capacity, max_typists: Mapping[str, int], typists: int, spread: Spread, leader: str = "typed"
) -> Fleet:
    """Plan for a number of typists, on the replicas that the arm `leader` needs; all arms' sessions are spread alike.

    `max_typists` is what one replica carries in each arm; the leader's must carry one at least.
    """
    replicas = replicas_needed(typists, max_typists[leader], spread)
    return Fleet(
        typists,
        replicas,
        evenly_needed(typists, max_typists[leader]),
        replicas_needed(typists, max_typists[leader], HASHED),
        {arm: replicas_needed(typists, carried, spread) if carried else None for arm, carried in max_typists.items()},
        {arm: _waits(capacity, arm, typists, replicas, spread) for arm in max_typists},
    )


def _waits(capacity: Capacity, arm: str, typists: int, replicas: int, spread: Spread) -> Waits:
    samples = {load: capacity.outcome(arm, load).ttft_ms for load in capacity.loads(arm)}
    return Waits(*(mixed_percentile(samples, typists, replicas, share, spread) for share in (0.5, 0.95)))
