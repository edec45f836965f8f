"""A vLLM server's `/metrics`: its load, and the configuration of its cache. Numbers that cannot be are passed over."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from ..base import EngineLoad
from .fields import MOST

_ADDED_UP = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:num_preemptions_total": "preemptions",
    "vllm:prompt_tokens_total": "tokens",
    "vllm:generation_tokens_total": "tokens",
    "vllm:prefix_cache_hits_total": "hits",
}
_MOST_LINES = 2_000
"""A server has about ten of them for each engine inside."""
_MOST_VALUE = 2.0**53
_MOST_DIGITS = 10
_OF_INTEREST = (*_ADDED_UP, "vllm:kv_cache_usage_perc", "vllm:cache_config_info", "process_start_time_seconds")


@dataclass(slots=True)
class MetricsSnapshot:
    """The metrics of one moment.

    `tokens` counts all prompt and generated tokens since the server started, `hits` those of them that were found
    cached. `started_at` is in seconds since the epoch; `cache` is vLLM's own cache configuration, empty if there is
    none.
    """

    running: float = 0
    waiting: float = 0
    preemptions: float = 0
    tokens: float = 0
    hits: float = 0
    cache_usage: float = 0
    started_at: float = 0
    cache: dict[str, str] = field(default_factory=dict)

    @property
    def load(self) -> EngineLoad:
        """The load, without a count of others' requests."""
        return EngineLoad(int(self.running), int(self.waiting), self.cache_usage, int(self.preemptions))

    @property
    def block_size(self) -> int | None:
        """Tokens in a cache block; None if not reported."""
        return _number(self.cache.get("block_size"))

    @property
    def cache_blocks(self) -> int | None:
        """How many blocks the cache of one engine has; None if not reported."""
        return _number(self.cache.get("num_gpu_blocks"))

    def is_restart_of(self, before: "MetricsSnapshot") -> bool:
        """Whether the server has restarted since `before`: its counters began again at 0."""
        return self.started_at != before.started_at or self.tokens < before.tokens


class Change(NamedTuple):
    """What a server has done between two snapshots: worked for anyone, and restarted."""

    worked: bool = False
    restarted: bool = False


@dataclass(slots=True)
class ServerWork:
    """The requests on a server: `ours` is how many of them are forefill's, `load` is by its latest metrics."""

    load: EngineLoad = EngineLoad()
    ours: int = 0
    _latest: MetricsSnapshot | None = None

    @classmethod
    def unknown(cls) -> "ServerWork":
        """Return the work of servers behind a router, whose metrics cannot be read."""
        return cls(EngineLoad(others=None))

    def update(self, snapshot: MetricsSnapshot | None) -> Change:
        """Take new metrics, None if the server has none; return what has changed since those before."""
        before, self._latest = self._latest, snapshot
        if snapshot is None:
            return Change()
        self.load = replace(snapshot.load, others=max(0, snapshot.load.running - self.ours))
        if before is None:
            return Change()
        # Any change counts as work, a moving queue or cache too: one long prompt yields no token for seconds.
        return Change(worked=snapshot != before, restarted=snapshot.is_restart_of(before))


def parse_metrics(text: str, rank: int | None = None) -> MetricsSnapshot:
    """Parse the text of `/metrics`, summed over all engines of a server, or for one data-parallel rank.

    Raises ValueError if a line is not a metric.
    """
    snapshot = MetricsSnapshot()
    # A large server reports thousands of lines, so those that are not needed are dropped before parsing.
    lines = [line for line in text.splitlines() if line.startswith(_OF_INTEREST)]
    if len(lines) > _MOST_LINES:
        raise ValueError("too many metrics")
    for family in _families(lines):
        for sample in family.samples:
            if rank is not None and sample.labels.get("engine", str(rank)) != str(rank):
                continue
            if not 0 <= sample.value < _MOST_VALUE:
                continue
            if name := _ADDED_UP.get(sample.name):
                setattr(snapshot, name, getattr(snapshot, name) + sample.value)
            elif sample.name == "vllm:kv_cache_usage_perc":
                snapshot.cache_usage = min(1.0, max(snapshot.cache_usage, sample.value))
            elif sample.name == "vllm:cache_config_info":
                snapshot.cache = dict(sample.labels)
            elif sample.name == "process_start_time_seconds":
                snapshot.started_at = max(snapshot.started_at, sample.value)
    return snapshot


def _families(lines: list[str]) -> list[Metric]:
    try:
        return list(text_string_to_metric_families("\n".join(lines) + "\n"))
    except Exception as error:  # whatever a parser of foreign text raises
        raise ValueError("not metrics") from error


def _number(text: str | None) -> int | None:
    """Return a label that is a count; None for any other."""
    if not text or len(text) > _MOST_DIGITS or not (text.isascii() and text.isdecimal()):
        return None
    return int(text) if 0 < int(text) < MOST else None
