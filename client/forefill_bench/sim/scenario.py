"""What is simulated: one replica's engine, and its typists."""

from dataclasses import dataclass
from typing import Final

from forefill_client.keystrokes.typing_model import delay_ms_at

from ..typing.schedule import Pace, Window, plan_window

SIMULATED_ARMS: Final = ("cold", "static", "typed")
"""The ways of serving that are simulated, by their names in the benchmark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSpec:
    """One replica's engine. The defaults were measured: SmolLM2-135M in vLLM on two CPU cores, a cache of 1 GiB."""

    #: New prompt tokens a second, after few others and in a long step: without attention and the step itself.
    prefill_tokens_per_second: float = 1694.0
    #: A step that computes one token: the gap between the tokens of an answer that runs alone.
    decode_ms: float = 19.6
    #: Attention: milliseconds for each thousand pairs of a new token and one before it.
    attention_ms: float = 0.44
    #: Each request in a step, and each thousand tokens before its new ones, which the step reads again.
    request_ms: float = 0.45
    read_ms: float = 2.72
    #: From when a request is sent until it waits in the engine.
    overhead_ms: float = 0.7
    cache_tokens: int = 46_592
    block_size: int = 32
    #: Most new tokens of one step.
    max_batched_tokens: int = 512
    #: Most requests in one step.
    max_sequences: int = 256

    @property
    def step_ms(self) -> float:
        """Any step, without the time that its tokens and requests add."""
        return max(0.0, self.decode_ms - self.added_ms(1, 0))

    def added_ms(self, new: float, behind: float) -> float:
        """Return by how much a request with `new` tokens to compute after `behind` others lengthens a step."""
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
    #: Background traffic: plain generations a second on each replica, and the length of their answers.
    background_rate: float = 0.0
    background_tokens: int = 48

    def window(self, typists: int, submits: int, seed: int) -> Window:
        """Plan at least `submits` SUBMITs of the typists on one replica, and at least one of each typist."""
        cycles = max(1, -(-submits // typists))
        pace = Pace(
            seconds=cycles * self.cycle_seconds,
            cycle_seconds=self.cycle_seconds,
            background_rate=self.background_rate,
            mean_delay_ms=delay_ms_at(self.words_per_minute),
        )
        return plan_window(typists, pace, seed)
