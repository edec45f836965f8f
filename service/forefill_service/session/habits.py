"""Habits: what a session, or a tenant, did where the model of typing expected something else.

For each kind of ending, and for hints, three counts are kept: changes, ends that the model expected of them (the sum of
its chances at no silence) and ends that came. They correct the odds of the model:

    odds x (came + prior) / (expected + prior) x (others expected + prior) / (others that came + prior)

So the text that ends in `;`, or never in a full stop, is known after a few messages. The size is bounded by the number
of kinds, and no text is kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .endings import Ending


@dataclass(slots=True)
class Count:
    """How often a draft was in some state, how many of these the model took for ends, and how many were."""

    changes: float = 0.0
    expected: float = 0.0
    came: float = 0.0

    def add(self, expected: float, came: bool) -> None:
        """Count one change."""
        self.changes += 1
        self.expected += expected
        self.came += came

    def fade(self, factor: float) -> None:
        """Let what was counted weigh less."""
        self.changes *= factor
        self.expected *= factor
        self.came *= factor

    def log_correction(self, prior: float) -> float:
        """Return what the log-odds were short of; `prior` changes of either kind speak for the model."""
        more_ends = (self.came + prior) / (self.expected + prior)
        fewer_others = (self.changes - self.expected + prior) / (self.changes - self.came + prior)
        return math.log(more_ends * fewer_others)


HINTED = "hinted"
"""The kind of a draft that came with a hint."""


@dataclass(slots=True)
class Habits:
    """What one session, or one tenant, really did: counts for each kind of ending and for hints, never text.

    After `half_life_messages` messages, what was counted weighs half. `prior` is how many ends and how many other
    changes the model's own word weighs.
    """

    half_life_messages: float = 20.0
    prior: float = 3.0
    counts: dict[Ending | str, Count] = field(default_factory=dict)

    def log_correction(self, kind: Ending | str) -> float:
        """Return what to add to the log-odds of an end in a state of this kind."""
        count = self.counts.get(kind)
        return count.log_correction(self.prior) if count else 0.0

    def count(self, kind: Ending | str, expected: float, *, came: bool) -> None:
        """Count one change of this kind: how likely an end seemed, and whether it came."""
        self.counts.setdefault(kind, Count()).add(expected, came)

    def message_sent(self) -> None:
        """Let the past weigh less, by one message."""
        factor = 0.5 ** (1 / self.half_life_messages)
        for count in self.counts.values():
            count.fade(factor)


def count(habits: Sequence[Habits], kind: Ending | str, log_odds: float, *, came: bool) -> None:
    """Count a change in each of the habits, whose corrections follow each other."""
    for each in habits:
        correction = each.log_correction(kind)
        each.count(kind, logistic(log_odds), came=came)
        log_odds += correction


def logistic(log_odds: float) -> float:
    """Return the chance that has these log-odds."""
    return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
