"""How many typists one replica carries, and what a fleet of them then costs and gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .fleet import evenly_needed, mixed_percentile, replicas_needed
from .scenario import Outcome

Simulate = Callable[[str, int], Outcome]
"""Simulates an arm with so many typists on one replica."""

MOST_TYPISTS = 4096
"""More on one replica are not looked for."""
FINENESS = 20
"""The most is found to within a twentieth of it."""


@dataclass(slots=True)
class Capacity:
    """What is known of one replica: every simulation once, in `outcomes` by arm and number of typists."""

    simulate: Simulate
    target_ms: float
    outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)

    def outcome(self, arm: str, typists: int) -> Outcome:
        """Return how it comes out."""
        if (arm, typists) not in self.outcomes:
            self.outcomes[arm, typists] = self.simulate(arm, typists)
        return self.outcomes[arm, typists]

    def most_typists(self, arm: str) -> int:
        """Return how many one replica carries with the 95th percentile of TTFT within the target; 0: not even one."""
        good, bad = 0, 1
        while self._carries(arm, bad):
            good, bad = bad, bad * 2
            if good >= MOST_TYPISTS:
                return good
        while bad - good > max(1, good // FINENESS):
            middle = (good + bad) // 2
            good, bad = (middle, bad) if self._carries(arm, middle) else (good, middle)
        return good

    def _carries(self, arm: str, typists: int) -> bool:
        return self.outcome(arm, typists).ttft(0.95) <= self.target_ms

    def loads(self, arm: str) -> list[int]:
        """Return with how many typists an arm was simulated, in ascending order."""
        return sorted(typists for name, typists in self.outcomes if name == arm)


@dataclass(frozen=True, slots=True)
class Served:
    """How an arm serves a fleet's typists, in milliseconds to the first token."""

    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many typists on as many replicas as `typed` needs."""

    typists: int
    replicas: int
    #: As many as they would be if every replica had equally many typists.
    evenly: int
    #: What each arm needs for the same target; None where no number of replicas is enough.
    needed: dict[str, int | None]
    #: How each arm serves them on these `replicas`.
    served: dict[str, Served]


def plan_fleet(capacity: Capacity, most: dict[str, int], typists: int, leader: str = "typed") -> Fleet:
    """Plan for so many typists, on the replicas that the arm `leader` needs; it must carry one typist at least."""
    replicas = replicas_needed(typists, most[leader])
    return Fleet(
        typists,
        replicas,
        evenly_needed(typists, most[leader]),
        {arm: replicas_needed(typists, carried) if carried else None for arm, carried in most.items()},
        {arm: _served(capacity, arm, typists, replicas) for arm in most},
    )


def _served(capacity: Capacity, arm: str, typists: int, replicas: int) -> Served:
    samples: dict[int, Sequence[float]] = {load: capacity.outcome(arm, load).ttft_ms for load in capacity.loads(arm)}
    return Served(*(mixed_percentile(samples, typists, replicas, share) for share in (0.5, 0.95)))
