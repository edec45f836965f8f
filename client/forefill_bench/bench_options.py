"""The options of `forefill bench`; nothing here needs more than the client."""

import dataclasses
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from forefill_client.access_flags import Access
from forefill_client.server_flags import ServerChoice

from .typing.arms import ARMS, Arm
from .typing.people import People
from .typing.schedule import Pace
from .typing.workloads import WORKLOADS

DIRECT_KEY_VARIABLE: Final = "VLLM_API_KEY"
"""vLLM's own variable for the key that its server asks for."""
NOT_NAMED: Final = Access(target="")
"""Stands for a server that is not named, so that one is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchCommand:
    """The options of the benchmark; it starts every server that it needs and is not given."""

    server: ServerChoice = ServerChoice(NOT_NAMED)
    direct: str | None = None
    #: The API key of vLLM's own endpoint, given or started.
    direct_key: str = field(default="", repr=False)
    direct_model: str | None = None
    remote: Access = NOT_NAMED
    vllm_args: tuple[str, ...] = ()
    workloads: tuple[str, ...] = tuple(name for name, workload in WORKLOADS.items() if workload.is_default)
    arms: tuple[str, ...] = tuple(ARMS)
    #: Queries of each arm and workload; a load window's number comes from `pace`.
    queries: int = 12
    #: Milliseconds from key to key, if one user types alone.
    mean_delay_ms: float = 100.0
    typists: tuple[int, ...] = (1, 4, 12)
    pace: Pace = Pace()
    rounds: int = 1
    people: People = People()
    #: Pause before Enter in the arm `pregen`, in milliseconds; people pause as they do.
    pause_ms: float = 1500.0
    max_tokens: int = 32
    seed: int = 1
    json_file: Path | None = None
    plot_prefix: Path | None = None

    def arms_of(self, workload: str) -> list[Arm]:
        """Return the arms that a workload runs."""
        return WORKLOADS[workload].arms_among(self.arms)

    @property
    def needs_endpoint(self) -> bool:
        """Whether anything goes to vLLM's own endpoint."""
        return self.needs_remote or any(arm.over_http for name in self.workloads for arm in self.arms_of(name))

    @property
    def needs_remote(self) -> bool:
        """Whether anything goes to a forefill in front of that endpoint."""
        return any(arm.over_remote for name in self.workloads for arm in self.arms_of(name))

    @property
    def flags(self) -> dict[str, Any]:
        """The options without files, addresses and credentials."""
        left_out = {"server", "direct", "direct_key", "remote", "json_file", "plot_prefix", "seed"}
        names = [option.name for option in dataclasses.fields(self) if option.name not in left_out]
        return {name: getattr(self, name) for name in names} | {
            "server_args": shlex.join(self.server.flags),
            "vllm_args": shlex.join(self.vllm_args),
            "pace": dataclasses.asdict(self.pace),
            "people": {"messages": self.people.messages, "typists": self.people.typists},
        }
