"""What is planned for: one replica's engine, what its typists do, and how it came out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..report.spread import percentile
from ..typing.schedule import Pace, Window, plan_window

CHARACTERS_A_WORD: Final = 5
ARMS: Final = ("cold", "static", "typed")
"""What is simulated, by the names that the benchmark gives to ways of serving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica's engine. The defaults were measured: SmolLM2-135M in vLLM on two CPU cores, a cache of 1 GiB."""

    #: New prompt tokens a second, behind little and in a long step: attention and the step itself left out.
    prefill_tokens_per_second: float = 1694.0
    #: What a step takes that computes one token: the gap between the tokens of an answer that runs alone.
    decode_ms: float = 19.6
    #: Attention: milliseconds for each thousand pairs of a new token and one before it.
    attention_ms: float = 0.44
    #: Each request in a step, and each thousand tokens before its new ones, which the step reads again.
    request_ms: float = 0.45
    read_ms: float = 2.72
    #: What a request costs before it waits in the engine.
    overhead_ms: float = 0.7
    cache_tokens: int = 46_592
    block_size: int = 32
    #: Most new tokens of one step.
    max_batched_tokens: int = 512
    #: Most requests in one step.
    max_sequences: int = 256

    @property
    def step_ms(self) -> float:
        """What any step takes, before what its tokens and requests add."""
        return max(0.0, self.decode_ms - self.added_ms(1, 0))

    def added_ms(self, new: float, behind: float) -> float:
        """Return by how much a request with so many new tokens behind so many others lengthens a step."""
        pairs = new * (behind + new / 2)
        tokens_ms = new * 1000 / self.prefill_tokens_per_second
        return self.request_ms + tokens_ms + (pairs * self.attention_ms + behind * self.read_ms) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What typists do. Each question is a session of its own, on a context that was not there before."""

    #: All before the draft, in tokens; contexts end at every place in a block equally often.
    context_tokens: int = 1250
    #: How many of them, at the beginning, are the same for everybody.
    shared_tokens: int = 0
    words_per_minute: float = 50.0
    #: From one Enter of a typist to the next.
    cycle_seconds: float = 30.0
    answer_tokens: int = 32
    #: Plain generations that are not ours, a second on each replica, and the length of their answers.
    background_rate: float = 0.0
    background_tokens: int = 48

    def window(self, typists: int, submits: int, seed: int) -> Window:
        """Plan so many SUBMITs of so many typists on one replica; each typist has one at least."""
        cycles = max(1, -(-submits // typists))
        pace = Pace(
            seconds=cycles * self.cycle_seconds,
            cycle_seconds=self.cycle_seconds,
            background_rate=self.background_rate,
            mean_delay_ms=60_000 / (self.words_per_minute * CHARACTERS_A_WORD),
        )
        return plan_window(typists, pace, seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one way of serving so many typists on one replica came out."""

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
    #: Of plain generations that are not ours.
    neighbours_ttft_ms: tuple[float, ...] = ()
    neighbours_gaps_ms: tuple[float, ...] = ()

    def ttft(self, share: float) -> float:
        """Return a percentile of the time to the first token, in milliseconds; infinite where one has no answer."""
        return _percentile(self.ttft_ms, share) if self.ttft_ms and not self.failures else float("inf")

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


def _percentile(values: Sequence[float], share: float) -> float:
    return percentile(sorted(values), share)
