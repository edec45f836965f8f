"""An estimate on paper: by it a reader can check the simulation, with a pencil and the engine's figures.

With T tokens of a prompt, n of them computed after Enter, A of an answer, one question every c seconds:

    TTFT alone            overhead + steps * step + n * per_token + pairs * per_pair + per_request + (T - n) * per_read,
                          with (T - n) * n + n * n / 2 pairs
    warm tokens/s         typists * (T - shared - n) / c
    engine time           of a question's prompt and of its answer: the same without the steps, which all requests share
    typists at most       c / engine time, times the share of a step that warms may take beside answers
"""

from dataclasses import dataclass
from typing import Final

from ..sim.scenario import ReplicaSpec, Use

QUESTION_TOKENS: Final = 23
"""About the tokens of a question and of the end of the template after it."""
UNCONFIRMED_TOKENS: Final = 7
"""Of them: the last word and the template's end, which cannot be known before Enter."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one replica is expected to do, without a simulation."""

    #: Alone on the replica, by arm.
    ttft_ms: dict[str, float]
    hit_share: dict[str, float]
    #: Of one typist.
    warm_tokens_per_second: float
    #: The engine's time for one question: the prompt before Enter, and the answer.
    prompt_seconds: float
    answer_seconds: float
    #: As many as fill the engine.
    most_typists: float


def estimate(replica: ReplicaSpec, use: Use, busy_gap_ms: float) -> Estimate:
    """Estimate what a replica does; `busy_gap_ms` is by how much warms may lengthen a step."""
    prompt = use.context_tokens + QUESTION_TOKENS
    rest = (replica.block_size - 1) / 2  # of a block that is not full: half of one on average
    new = {
        "cold": prompt - use.shared_tokens + (rest if use.shared_tokens else 0),
        "static": QUESTION_TOKENS + rest,
        "typed": UNCONFIRMED_TOKENS + rest,
    }
    warmed = new["cold"] - new["typed"]
    prompt_seconds = replica.added_ms(warmed, prompt - new["typed"] - warmed) / 1000
    answer_seconds = use.answer_tokens * replica.added_ms(1, prompt) / 1000
    gap_share = busy_gap_ms / (busy_gap_ms + replica.step_ms)
    return Estimate(
        ttft_ms={arm: _ttft_ms(replica, tokens, prompt - tokens) for arm, tokens in new.items()},
        hit_share={arm: 1 - tokens / prompt for arm, tokens in new.items()},
        warm_tokens_per_second=warmed / use.cycle_seconds,
        prompt_seconds=prompt_seconds,
        answer_seconds=answer_seconds,
        most_typists=use.cycle_seconds * gap_share / (prompt_seconds + answer_seconds),
    )


def _ttft_ms(replica: ReplicaSpec, new: float, behind: float) -> float:
    steps = -(-new // replica.max_batched_tokens)
    return replica.overhead_ms + steps * replica.step_ms + replica.added_ms(new, behind)
