"""The people of the benchmarks: those of `forefill_client.keystrokes` without a keyboard under their fingers.

The published results were measured with them, and a seed still gives the same keys at the same times: no keys overlap,
all pairs of letters are alike, a typo is any letter, everything is typed, and all people correct themselves equally
often.
"""

from dataclasses import replace
from typing import Final

from forefill_client.keystrokes import COMPOSING, TRANSCRIBING, HumanTypingModel
from forefill_client.keystrokes.human import PUBLISHED_MEAN_MS

LOGGED: Final = replace(COMPOSING, keyboard=None, longest_typed_word=None)
"""The people of the public log: learners of a language, who think of what to write while they write it."""

COPYING: Final = replace(
    TRANSCRIBING, keyboard=None, longest_typed_word=None, correction_rate=1 / 16, correction_spread=0.0
)
"""People as they copy sentences: a gap of PUBLISHED_MEAN_MS on average, 3.3 pauses of 600 ms and more in 47 keys."""


def copying_at(mean_delay_ms: float) -> HumanTypingModel:
    """Return COPYING with another mean gap."""
    return COPYING.at_pace(PUBLISHED_MEAN_MS / mean_delay_ms)
