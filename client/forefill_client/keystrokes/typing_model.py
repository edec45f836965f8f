"""The typing of a simulated user: its speed, its typos and its flushes."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

CHARACTERS_A_WORD: Final = 5
"""As typing speeds are counted."""


def delay_ms_at(words_per_minute: float) -> float:
    """Return the mean milliseconds from one key to the next at a typing speed."""
    return 60_000 / (words_per_minute * CHARACTERS_A_WORD)


class FlushRule(Enum):
    """When the client of a simulated user sends FLUSH."""

    DEBOUNCE = "debounce"
    """In a pause longer than the debounce, and after the last key. A steady typist flushes only once, at the end."""
    WORD = "word"
    """At once, whenever a word ends: with one of CONFIRMATION_BOUNDARIES, or as a session of the SDK flushes by itself,
    in scripts without spaces and in unbroken runs too."""


@dataclass(frozen=True, slots=True)
class TypingModel:
    """A typist; times are in milliseconds.

    Raises:
        ValueError: A time is negative or not finite, or `typo_rate` is not from 0 to 1.
    """

    mean_delay_ms: float = 150.0
    """Mean time from one key to the next."""
    std_delay_ms: float = 50.0
    """Its standard deviation."""
    debounce_ms: float = 300.0
    """Length of the pause after which FlushRule.DEBOUNCE flushes."""
    typo_rate: float = 0.02
    """Probability that a letter is first mistyped, then deleted and typed again."""
    pause_after_boundary: float = 50.0
    """Extra time before the key that follows a boundary character."""
    flush_rule: FlushRule = FlushRule.DEBOUNCE
    """When FLUSH is sent."""

    def __post_init__(self) -> None:
        for name in ("mean_delay_ms", "std_delay_ms", "debounce_ms", "pause_after_boundary"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}: give milliseconds, 0 or more")
        if not 0 <= self.typo_rate <= 1:
            raise ValueError(f"typo_rate is {self.typo_rate}: give a probability from 0 to 1")
