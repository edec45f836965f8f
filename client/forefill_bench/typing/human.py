"""How people type: pure, and seeded by the caller.

Every gap is drawn from what the key is for (`Move`), as a multiple of the typist's own pace, which is the median gap
between two letters within a word. A gap is log-normal; some are drawn from a second, wider log-normal, which holds the
thinking pauses. Keys come in bursts: after each such gap a typist goes on somewhat faster or slower. A typo is noticed
some characters late and deleted with all that followed it. Enter comes after a pause.

`tests/benchmarks/human_typing.py` fits all figures here on the public log (users for tuning alone) and draws what is
simulated beside what was measured. `COPYING` keeps these figures, but has the pace, its spread between people, the
pauses and the corrections of the published sample of 168,000 people who copied sentences (Dhakal et al., CHI 2018).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from random import Random
from types import MappingProxyType
from typing import Final

LONGEST_GAP: Final = 60.0
"""No gap is a larger multiple of the pace: a user who stays away longer has left."""


class Move(Enum):
    """The use of one key."""

    #: A letter after a letter.
    LETTER = auto()
    #: The space after a word.
    SPACE = auto()
    #: The first letter of a word.
    WORD = auto()
    #: A punctuation mark.
    MARK = auto()
    #: The first deletion after typing: a mistake is noticed.
    FIRST_DELETE = auto()
    #: A deletion after a deletion.
    NEXT_DELETE = auto()
    #: The first character after a deletion.
    RETYPE = auto()
    ENTER = auto()


@dataclass(frozen=True, slots=True)
class Gap:
    """The time before a key, as a multiple of the typist's pace: two log-normals, mixed.

    The second one is that of fewer keys: it holds the thinking pauses, and the few keys that overlap.
    """

    median: float
    #: Standard deviation of the logarithm.
    spread: float
    wide_share: float
    wide_median: float
    wide_spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanTyping:
    """People at their keyboards."""

    gaps: Mapping[Move, Gap]
    #: The middle one of the typists' paces, and the standard deviation of the logarithm between typists.
    pace_ms: float
    pace_spread: float
    #: Standard deviation of the logarithm from burst to burst of one typist.
    burst_spread: float
    #: Probability that a character is where a correction begins.
    correction_rate: float
    #: Characters deleted by a correction: log-normal, rounded up.
    deleted_median: float
    deleted_spread: float
    #: The share of messages that end in a punctuation mark differs between typists as a beta distribution.
    mark_alpha: float
    mark_beta: float
    #: How much people think of what they type: 1 as in a chat in a foreign language, 0 not at all. It is the exponent
    #: of all medians but that of Enter, and the factor of the share of wide gaps.
    hesitation: float = 1.0
    #: Pairs of a mark and its weight, of those messages that end in one.
    marks: tuple[tuple[str, float], ...] = (("?", 0.69), (".", 0.27), ("!", 0.04))

    def at_pace(self, factor: float) -> "HumanTyping":
        """Return the same people, `factor` times as fast in all they do."""
        return replace(self, pace_ms=self.pace_ms / factor)

    def typist(self, rng: Random) -> "Typist":
        """Draw one of them."""
        pace_ms = self.pace_ms * _log_normal(1.0, self.pace_spread, rng)
        return Typist(self, pace_ms, rng.betavariate(self.mark_alpha, self.mark_beta))


@dataclass(slots=True)
class Typist:
    """One person: a pace in milliseconds, and the share of this person's messages that end in a mark."""

    typing: HumanTyping
    pace_ms: float
    mark_share: float
    #: The present burst's gaps as a multiple of the usual ones.
    burst: float = 1.0

    def gap_ms(self, move: Move, rng: Random) -> float:
        """Draw the time before a key."""
        return self.pace_ms * min(LONGEST_GAP, self._multiple(move, rng))

    def _multiple(self, move: Move, rng: Random) -> float:
        typing, gap = self.typing, self.typing.gaps[move]
        hesitation = 1.0 if move is Move.ENTER else typing.hesitation
        if rng.random() < gap.wide_share * hesitation:
            self.burst = _log_normal(1.0, typing.burst_spread, rng)
            return _log_normal(gap.wide_median, gap.wide_spread, rng)
        within = math.sqrt(max(0.0, gap.spread**2 - typing.burst_spread**2))
        return self.burst * _log_normal(gap.median**hesitation, within, rng)

    def mistakes(self, rng: Random) -> bool:
        """Draw whether a correction begins at this character."""
        return rng.random() < self.typing.correction_rate

    def deleted(self, rng: Random) -> int:
        """Draw how many characters a correction deletes."""
        return max(1, math.ceil(_log_normal(self.typing.deleted_median, self.typing.deleted_spread, rng)))

    def final_mark(self, rng: Random) -> str:
        """Draw what a message ends in; "" if in no mark."""
        if rng.random() >= self.mark_share:
            return ""
        marks, weights = zip(*self.typing.marks, strict=True)
        return str(rng.choices(marks, weights)[0])


def _log_normal(median: float, spread: float, rng: Random) -> float:
    return median * math.exp(rng.gauss(0.0, spread))


# tests/benchmarks/human_typing.py prints these figures.
_GAPS: Final = MappingProxyType(
    {
        Move.LETTER: Gap(0.971, 0.406, 0.304, 1.318, 1.246),
        Move.SPACE: Gap(0.762, 0.3, 0.449, 1.53, 1.207),
        Move.WORD: Gap(2.335, 0.884, 0.019, 31.602, 0.342),
        Move.MARK: Gap(4.247, 0.655, 0.206, 0.619, 1.923),
        Move.FIRST_DELETE: Gap(3.469, 0.429, 0.233, 6.797, 1.087),
        Move.NEXT_DELETE: Gap(0.505, 1.034, 0.007, 19.371, 0.592),
        Move.RETYPE: Gap(2.84, 0.731, 0.269, 3.295, 1.514),
        Move.ENTER: Gap(2.433, 0.68, 0.16, 3.883, 1.374),
    }
)

LOGGED: Final = HumanTyping(
    gaps=_GAPS,
    pace_ms=262.0,
    pace_spread=0.2,
    burst_spread=0.23,
    correction_rate=0.054,
    deleted_median=1.0,
    deleted_spread=1.15,
    mark_alpha=1.9,
    mark_beta=2.0,
)
"""The people of the public log: learners of a language, who think of what to write while they write it."""

COPIED_MEAN_MS: Final = 239.0
COPYING: Final = replace(LOGGED, pace_ms=118.0, pace_spread=0.4, correction_rate=1 / 16, hesitation=0.72)
"""People as they copy sentences: a gap of COPIED_MEAN_MS on average, 3.3 pauses of 600 ms and more in 47 keys.

The spread of the pace is that of the published speeds. Nothing is published about the pause before Enter: it is the
log's, as a multiple of the pace.
"""


def copying_at(mean_delay_ms: float) -> HumanTyping:
    """Return COPYING with another mean gap."""
    return COPYING.at_pace(COPIED_MEAN_MS / mean_delay_ms)
