"""What a vLLM server tells of itself on `/metrics`: how it is doing, and how its cache is set up."""

from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from ..base import EngineLoad

_ADDED_UP = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:num_preemptions_total": "preemptions",
    "vllm:prompt_tokens_total": "tokens",
    "vllm:generation_tokens_total": "tokens",
    "vllm:prefix_cache_hits_total": "hits",
}
_OF_INTEREST = (*_ADDED_UP, "vllm:kv_cache_usage_perc", "vllm:cache_config_info", "process_start_time_seconds")


@dataclass(slots=True)
class Told:
    """One reading. `tokens` counts all that was ever read and generated, `hits` those of them that were found cached;
    `cache` is vLLM's own cache configuration.
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
        """The same as `EngineLoad` has it."""
        return EngineLoad(int(self.running), int(self.waiting), self.cache_usage, int(self.preemptions))

    @property
    def block_size(self) -> int | None:
        """Tokens of a cache block; None where it does not tell."""
        return _number(self.cache.get("block_size"))

    @property
    def cache_blocks(self) -> int | None:
        """How many blocks the cache of one engine has; None where it does not tell."""
        return _number(self.cache.get("num_gpu_blocks"))


def told(text: str, rank: int | None = None) -> Told:
    """Read the text of `/metrics`, all engines of a server together, or that of one rank.

    Lines of no interest are left out before parsing: of a large server there are thousands. Raises ValueError where a
    line is no metric.
    """
    reading = Told()
    lines = "\n".join(line for line in text.splitlines() if line.startswith(_OF_INTEREST)) + "\n"
    for family in text_string_to_metric_families(lines):
        for sample in family.samples:
            if rank is not None and sample.labels.get("engine", str(rank)) != str(rank):
                continue
            if name := _ADDED_UP.get(sample.name):
                setattr(reading, name, getattr(reading, name) + sample.value)
            elif sample.name == "vllm:kv_cache_usage_perc":
                reading.cache_usage = max(reading.cache_usage, sample.value)
            elif sample.name == "vllm:cache_config_info":
                reading.cache = dict(sample.labels)
            elif sample.name == "process_start_time_seconds":
                reading.started_at = max(reading.started_at, sample.value)
    return reading


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
