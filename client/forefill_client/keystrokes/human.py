"""How people type: pure, and seeded by the caller.

    people = TRANSCRIBING
    typist = people.typist(rng)                         # one of them
    trace = typed_by(typist, "Show me all patients", rng)

An inter-key interval is drawn from what the key is for (`KeyRole`), as a multiple of the typist's own pace, which is
the median interval between two letters within a word, before the keyboard's effects. Of each role, most intervals
come from one log-normal; the rest come from a wider one, which holds the thinking pauses. Keys come in bursts: after
each interval of the wider kind a typist goes on somewhat faster or slower. A typo is noticed some characters late and
deleted with all that followed it, and Enter comes after a pause. With a keyboard, the fingers matter, too: two letters
of a word take longer or shorter by the hands that type them, keys of different fingers may overlap (rollover), and a
wrong key is often a neighbour of the right one.

Sources of the parameters:

- The intervals by role, the bursts, the length of corrections, the final marks and the pause before Enter are fitted
  on a public log of 83 people who chat (the package `keylogging-analysis`), on the users kept for tuning, by
  `tests/benchmarks/human_typing.py`. So are the pace of `COMPOSING`, its spread and the share of corrections.
- The pace and the hesitation of `TRANSCRIBING` are fitted by the same script, without a keyboard, to two figures of
  168,000 people who copied sentences (Dhakal et al., "Observations on Typing from 136 Million Keystrokes", CHI 2018):
  a mean interval of 239 ms, and 3.3 pauses of 600 ms and more in 47 keys.
- The spread of that pace and the corrections are published there: 51.6 words a minute with a standard deviation of 20.2
  between people, and corrections at 6.3 % of characters with one of 4.5 %.
- So are the time for which a key is held (116 ms with a standard deviation of 24), rollover (25 % of keys with one of
  17 %; the fastest people 40 to 70 %), the factors of pairs (`keyboard.py`) and the kinds of typos (`typos.py`).
- Pasting is set by hand: the log has none.

The fitting script also prints what comes out: TRANSCRIBING people have a mean interval of 253 ms and 3.4 such pauses;
26 % of their keys overlap, with a standard deviation of 15 % between people, and 45 % those of the fast (p90).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from random import Random
from types import MappingProxyType
from typing import Final

from .keyboard import QWERTY, Keyboard

LONGEST_INTERVAL: Final = 60.0
"""No interval is a larger multiple of the pace: a user who stays away longer has left."""


class KeyRole(Enum):
    """The use of one key."""

    LETTER = "letter"
    """A letter after a letter."""
    SPACE = "space"
    """The space after a word."""
    WORD = "word"
    """The first letter of a word."""
    MARK = "mark"
    """A punctuation mark."""
    FIRST_DELETE = "first delete"
    """The first deletion after typing: a mistake is noticed."""
    NEXT_DELETE = "next delete"
    """A deletion after a deletion."""
    RETYPE = "retype"
    """The first character after a deletion."""
    PASTE = "paste"
    """A text that was copied elsewhere."""
    ENTER = "enter"
    """Enter."""


_IN_A_FLOW: Final = (KeyRole.LETTER, KeyRole.SPACE)


@dataclass(frozen=True, slots=True)
class InterKeyInterval:
    """The time before a key, as a multiple of the typist's pace: two log-normals, mixed.

    The second one is that of fewer keys: it holds the thinking pauses.
    """

    median: float
    """The median of the first one."""
    spread: float
    """The standard deviation of its logarithm."""
    wide_share: float
    """The share of intervals that come from the second one."""
    wide_median: float
    """The median of the second one."""
    wide_spread: float
    """The standard deviation of its logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanTypingModel:
    """People at their keyboards. See this module for the model and its sources.

    Raises:
        ValueError: The pace is not above 0, or a share is not from 0 to 1.
    """

    intervals: Mapping[KeyRole, InterKeyInterval]
    """The time before a key, by its role."""
    pace_ms: float
    """The middle one of the people's paces, in milliseconds."""
    pace_spread: float
    """The standard deviation of its logarithm between people."""
    burst_spread: float
    """The standard deviation of the logarithm from burst to burst of one typist."""
    correction_rate: float
    """The mean share of characters at which a correction begins."""
    correction_spread: float = 0.0
    """The standard deviation of its logarithm between people."""
    deleted_median: float
    """The median number of characters that a correction deletes: log-normal, rounded up."""
    deleted_spread: float
    """The standard deviation of its logarithm."""
    mark_alpha: float
    """The share of messages that end in a punctuation mark differs between people as a beta distribution: its alpha."""
    mark_beta: float
    """Its beta."""
    hesitation: float = 1.0
    """How much people think of what they type: 1 as in a chat in a foreign language, 0 not at all. It is the exponent
    of all medians but that of Enter, and the factor of the share of wide intervals."""
    marks: tuple[tuple[str, float], ...] = (("?", 0.69), (".", 0.27), ("!", 0.04))
    """Pairs of a mark and its weight, of those messages that end in one."""
    keyboard: Keyboard | None = QWERTY
    """The keyboard; without one no keys overlap, all pairs of letters are alike, and a typo is any letter."""
    longest_typed_word: int | None = 30
    """A longer run of ASCII without a space, such as a URL or a checksum, is pasted; None: everything is typed."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pace_ms) and self.pace_ms > 0):
            raise ValueError(f"pace_ms is {self.pace_ms}: give milliseconds above 0")
        for name in ("correction_rate", "hesitation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number from 0 to 1")

    def at_pace(self, factor: float) -> "HumanTypingModel":
        """Return the same people with a pace `factor` times as fast, and so all that is a multiple of it."""
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"factor is {factor}: give a number above 0")
        return replace(self, pace_ms=self.pace_ms / factor)

    def typist(self, rng: Random) -> "Typist":
        """Draw one of them."""
        pace_ms = self.pace_ms * _log_normal(1.0, self.pace_spread, rng)
        mark_share = rng.betavariate(self.mark_alpha, self.mark_beta)
        return Typist(self, pace_ms, mark_share, self._correction_rate(rng), self._hold_ms(pace_ms, rng))

    def _hold_ms(self, pace_ms: float, rng: Random) -> float:
        if self.keyboard is None:
            return 0.0
        return HOLD_MS * math.pow(pace_ms / _PUBLISHED_PACE_MS, HOLD_BY_PACE) * _log_normal(1.0, HOLD_SPREAD, rng)

    def _correction_rate(self, rng: Random) -> float:
        if not self.correction_spread:
            return self.correction_rate
        median = self.correction_rate * math.exp(-(self.correction_spread**2) / 2)
        return min(1.0, _log_normal(median, self.correction_spread, rng))


@dataclass(slots=True)
class Typist:
    """One person. Made by `HumanTypingModel.typist`."""

    people: HumanTypingModel
    """Those of whom this is one."""
    pace_ms: float
    """This person's pace, in milliseconds."""
    mark_share: float
    """The share of this person's messages that end in a mark."""
    correction_rate: float
    """The share of characters at which this person begins a correction."""
    hold_ms: float
    """How long this person holds a key down, in milliseconds; 0 without a keyboard."""
    burst: float = 1.0
    """The present burst's intervals as a multiple of the usual ones."""

    @property
    def rollover_share(self) -> float:
        """The share of keys that go down before the last one is up, of those that can: larger for fast people."""
        speed = _PUBLISHED_PACE_MS / self.pace_ms
        return min(MOST_ROLLOVER, ROLLOVER_SHARE * math.pow(speed, ROLLOVER_BY_SPEED))

    def interval_ms(self, role: KeyRole, rng: Random, pair: str = "") -> float:
        """Draw the time before a key; `pair` is the character before it and its own, if both stand side by side."""
        keyboard = self.people.keyboard
        if keyboard is None or len(pair) != 2 or role not in _IN_A_FLOW:
            return self._drawn_ms(role, rng)
        if keyboard.can_overlap(*pair) and rng.random() < self.rollover_share:
            return self.hold_ms * rng.uniform(*OVERLAPPED)
        apart_ms = self._drawn_ms(role, rng) * keyboard.pair_factor(*pair)
        # A key that does not overlap comes after the last one is up: a shorter interval is mirrored, in its logarithm.
        return max(apart_ms, self.hold_ms**2 / apart_ms)

    def mistakes(self, rng: Random) -> bool:
        """Draw whether a correction begins at this character."""
        return rng.random() < self.correction_rate

    def deleted(self, rng: Random) -> int:
        """Draw how many characters a correction deletes."""
        return max(1, math.ceil(_log_normal(self.people.deleted_median, self.people.deleted_spread, rng)))

    def final_mark(self, rng: Random) -> str:
        """Draw what a message ends in; "" if in no mark."""
        if rng.random() >= self.mark_share:
            return ""
        marks, weights = zip(*self.people.marks, strict=True)
        return str(rng.choices(marks, weights)[0])

    def _drawn_ms(self, role: KeyRole, rng: Random) -> float:
        return self.pace_ms * min(LONGEST_INTERVAL, self._multiple(role, rng))

    def _multiple(self, role: KeyRole, rng: Random) -> float:
        people, interval = self.people, self.people.intervals[role]
        hesitation = 1.0 if role is KeyRole.ENTER else people.hesitation
        if rng.random() < interval.wide_share * hesitation:
            self.burst = _log_normal(1.0, people.burst_spread, rng)
            return _log_normal(interval.wide_median, interval.wide_spread, rng)
        within = math.sqrt(max(0.0, interval.spread**2 - people.burst_spread**2))
        return self.burst * _log_normal(interval.median**hesitation, within, rng)


def _log_normal(median: float, spread: float, rng: Random) -> float:
    return median * math.exp(rng.gauss(0.0, spread))


# tests/benchmarks/human_typing.py prints these figures.
_INTERVALS: Final = MappingProxyType(
    {
        KeyRole.LETTER: InterKeyInterval(0.971, 0.406, 0.304, 1.318, 1.246),
        KeyRole.SPACE: InterKeyInterval(0.762, 0.3, 0.449, 1.53, 1.207),
        KeyRole.WORD: InterKeyInterval(2.335, 0.884, 0.019, 31.602, 0.342),
        KeyRole.MARK: InterKeyInterval(4.247, 0.655, 0.206, 0.619, 1.923),
        KeyRole.FIRST_DELETE: InterKeyInterval(3.469, 0.429, 0.233, 6.797, 1.087),
        KeyRole.NEXT_DELETE: InterKeyInterval(0.505, 1.034, 0.007, 19.371, 0.592),
        KeyRole.RETYPE: InterKeyInterval(2.84, 0.731, 0.269, 3.295, 1.514),
        KeyRole.PASTE: InterKeyInterval(20.0, 0.5, 0.0, 20.0, 0.5),
        KeyRole.ENTER: InterKeyInterval(2.433, 0.68, 0.16, 3.883, 1.374),
    }
)

COMPOSING: Final = HumanTypingModel(
    intervals=_INTERVALS,
    pace_ms=262.0,
    pace_spread=0.2,
    burst_spread=0.23,
    correction_rate=0.054,
    deleted_median=1.0,
    deleted_spread=1.15,
    mark_alpha=1.9,
    mark_beta=2.0,
)
"""People who think of what to write while they write it: those of the public log, learners of a language."""

PUBLISHED_MEAN_MS: Final = 239.0
"""The mean inter-key interval of the published sample, in milliseconds."""
_PUBLISHED_PACE_MS: Final = 118.0

TRANSCRIBING: Final = replace(
    COMPOSING,
    pace_ms=_PUBLISHED_PACE_MS,
    pace_spread=0.4,
    correction_rate=0.0631,
    correction_spread=0.64,
    hesitation=0.72,
)
"""People who type a text that is there already: about PUBLISHED_MEAN_MS from key to key, long pauses left out.

Nothing is published about the pause before Enter: it is the log's, as a multiple of the pace.
"""

HOLD_MS: Final = 116.25
"""How long people of the middle pace hold a key down, in milliseconds."""
HOLD_BY_PACE: Final = 0.25
"""The power of the pace with which that grows: set by hand, between none and what makes the log's people too slow."""
HOLD_SPREAD: Final = 0.17
"""The standard deviation of its logarithm between people of one pace: with the pace's, the published one."""
ROLLOVER_SHARE: Final = 0.22
"""The share of keys that overlap, of those that can, of people of the middle pace."""
ROLLOVER_BY_SPEED: Final = 1.6
"""The power of the speed with which that share grows. It makes people differ about as much as published."""
MOST_ROLLOVER: Final = 0.9
"""The largest share: about 70 % of all keys."""
OVERLAPPED: Final = (0.2, 1.0)
"""When the second one of two keys that overlap goes down, as shares of the time for which the first one is held:
evenly between these, set by hand."""


def transcribing_at(mean_ms: float) -> HumanTypingModel:
    """Return TRANSCRIBING with another mean interval, about `mean_ms` milliseconds; for fast typists it is longer."""
    if not (math.isfinite(mean_ms) and mean_ms > 0):
        raise ValueError(f"mean_ms is {mean_ms}: give milliseconds above 0")
    return TRANSCRIBING.at_pace(PUBLISHED_MEAN_MS / mean_ms)
