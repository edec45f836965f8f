"""The options of `forefill plan`; nothing here needs more than the client."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .sim.scenario import ReplicaSpec, Use

DECADES: Final = (10, 100, 1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCommand:
    """What is asked of the plan."""

    typists: tuple[int, ...] = DECADES
    replica: ReplicaSpec = ReplicaSpec()
    use: Use = Use()
    #: What the 95th percentile of the time to the first token may be, in milliseconds.
    target_ms: float = 300.0
    #: SUBMITs that each simulation counts, at least.
    submits: int = 200
    seed: int = 1
    #: Copies of forefill in front of the same replicas.
    copies: int = 2
    json_file: Path | None = None
    plot_prefix: Path | None = None
    #: Where values for the Helm chart go; then there is one number of typists.
    values_file: Path | None = None

    @property
    def flags(self) -> dict[str, Any]:
        """What was asked for, without files."""
        left_out = {"json_file", "plot_prefix", "values_file", "seed"}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in left_out}
