"""How likely SUBMIT is to come before another change of the draft: a small model of typing, corrected by habits.

    log-odds(silence) = weights x features of the draft + rise(log2(silence / median gap)) + log of the corrections

The features are of the draft and the session's own past; the rise is a line with a few bends that never falls, one for
each group of last characters; the corrections are what `Habits` count. The weights are fitted by
tests/benchmarks/fit_likelihood.py on a public log of people who chat (see tests/benchmarks/people.md). A change costs
a few microseconds, whatever the draft's length, and no text is kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

DEFAULT_FINAL_CHARACTERS = ".?!\u2026\u3002\uff0e\uff1f\uff01\uff61"
LONGEST_SILENCE_SECONDS = 60.0
"""No one is waited for longer than this."""


class Ending(Enum):
    """The kind of a draft's last character."""

    FINAL = auto()
    SEMICOLON = auto()
    CLOSING = auto()
    COMMA = auto()
    LETTER = auto()
    DIGIT = auto()
    SPACE = auto()
    NEWLINE = auto()
    OTHER = auto()


_MARKS = {
    **dict.fromkeys(";\uff1b", Ending.SEMICOLON),
    **dict.fromkeys(")]}>\"'`\u00bb\u201d\u2019\u300d\u300f\uff09\u3011\u300b", Ending.CLOSING),
    **dict.fromkeys(",:\uff0c\u3001\uff1a", Ending.COMMA),
    **dict.fromkeys("\n\r", Ending.NEWLINE),
}


def ending_of(text: str, final_characters: str = DEFAULT_FINAL_CHARACTERS) -> Ending:
    """Return the kind of a text's last character; an empty text counts as OTHER."""
    last = text[-1:]
    if last and last in final_characters:
        return Ending.FINAL
    if last in _MARKS:
        return _MARKS[last]
    if last.isalpha():
        return Ending.LETTER
    if last.isdigit():
        return Ending.DIGIT
    return Ending.SPACE if last.isspace() else Ending.OTHER


ENDING_WEIGHTS = {
    Ending.FINAL: -0.5,
    Ending.SEMICOLON: -3.0,
    Ending.CLOSING: -2.5,
    Ending.COMMA: -5.0,
    Ending.LETTER: -4.5,
    Ending.DIGIT: -4.0,
    Ending.SPACE: -5.5,
    Ending.NEWLINE: -4.0,
    Ending.OTHER: -3.0,
}
"""Log-odds of an end, by the last character."""

FEATURE_WEIGHTS = {
    "log length": 0.2,
    "shorter than usual": 0.5,
    "longer than usual": 0.2,
    "removed": -1.5,
    "log removals": 0.0,
    "final habit if final": 1.5,
    "final habit if not": -1.5,
    "first message": 0.0,
    "last gap": 0.0,
}
"""What one unit of each feature adds to the log-odds; `Typist.features` has them in this order."""

RISES = {
    Ending.FINAL: (0.1, 0.2, 0.3, 0.3, 0.2),
    Ending.LETTER: (0.5, 1.0, 0.7, 0.4, 0.2),
    Ending.SPACE: (0.5, 1.0, 0.7, 0.4, 0.2),
}
"""What each doubling of the silence adds to the log-odds, the first from half of the median gap; none is negative."""

RISE_OF = dict.fromkeys(Ending, RISES[Ending.SPACE]) | {
    Ending.FINAL: RISES[Ending.FINAL],
    Ending.LETTER: RISES[Ending.LETTER],
    Ending.DIGIT: RISES[Ending.LETTER],
}
FIRST_BEND = -1
"""Where the rise begins: log2(silence / median gap)."""

HINT_FACTOR = 8.0
"""A hint multiplies the odds by this, until habits know better."""


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


@dataclass(slots=True)
class Habits:
    """What one session, or one tenant, really did: counts for each kind of ending and for hints, never text.

    After `half_life_messages` messages, what was counted weighs half. `prior` is how many ends and how many other
    changes the model's own word weighs.
    """

    half_life_messages: float = 20.0
    prior: float = 1.0
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


USUAL_GAP_SECONDS = 0.293
USUAL_LENGTH = 24.0
USUAL_FINAL_SHARE = 0.46
USUAL_PAUSE_BEFORE_ENTER_SECONDS = 0.65
PRIOR_KEYS = 4
PRIOR_MESSAGES = 2
SLOWEST_STEP = 0.04
LONGEST_GAP_SECONDS = 5.0


class Typist:
    """One session's typing so far: its pace, its drafts' lengths and endings, and the state of the present draft.

    It has habits of its own; `habits` are wider ones, such as the tenant's, widest first. Each corrects what those
    before it leave. Times are seconds of one clock.
    """

    def __init__(self, final_characters: str = DEFAULT_FINAL_CHARACTERS, habits: Sequence[Habits] = ()) -> None:
        self._final_characters = final_characters
        self._habits = (*habits, Habits())
        self._log_gap = math.log(USUAL_GAP_SECONDS)
        self._mean_gap = USUAL_GAP_SECONDS * 1.5
        self._keys = PRIOR_KEYS
        self._log_usual_length = math.log(USUAL_LENGTH)
        self._final_share = USUAL_FINAL_SHARE
        self._messages = 0
        self._empty_draft()

    def _empty_draft(self) -> None:
        self._length = 0
        self._removals = 0
        self._removed = False
        self._last_gap = 0.0
        self._changed_at: float | None = None
        self._ending = Ending.OTHER
        self._log_odds = -math.inf
        self._hinted = self._was_hinted = False

    def changed(self, text: str, *, removed: bool, now: float) -> None:
        """Take a change: the draft is this from now on; `removed` says that the change took text away."""
        self._count(came=False)
        self._take_gap(now)
        self._length = len(text)
        self._ending = ending_of(text, self._final_characters)
        self._removed = removed
        self._removals += removed
        self._hinted = self._was_hinted = False
        self._log_odds = self._model_log_odds() if text else -math.inf

    def hinted(self, likely: bool) -> None:
        """Take the client's word that Enter is likely, or no longer; the next change ends it."""
        self._hinted = likely
        self._was_hinted = self._was_hinted or likely

    def submitted(self, text: str, now: float) -> None:
        """Learn from a message that was sent; the next draft begins empty."""
        self._count(came=len(text) == self._length)
        for habits in self._habits:
            habits.message_sent()
        if text:
            self._learn_style(text)
        self._empty_draft()

    def p_end(self, silence_seconds: float) -> float:
        """Return the chance that SUBMIT comes before another change, after this silence; it never falls in silence."""
        return _logistic(self._corrected() + self._rise(silence_seconds))

    def silence_until(self, p: float) -> float | None:
        """Return the least silence in seconds after which `p_end` reaches `p`; None: not within a minute."""
        missing = math.log(p / (1 - p)) - self._corrected()
        if missing <= 0:
            return 0.0
        doublings = float(FIRST_BEND)
        for slope in RISE_OF[self._ending]:
            if missing <= slope:
                silence = math.exp(self._log_gap) * 2 ** (doublings + missing / slope)
                return silence if silence <= LONGEST_SILENCE_SECONDS else None
            missing -= slope
            doublings += 1
        return None

    def seconds_to_enter(self) -> float:
        """Return the expected seconds from the last change to Enter: rough, from the usual length, pace and p."""
        left = max(math.exp(self._log_usual_length) - self._length, math.exp(self._log_usual_length) / 4)
        return USUAL_PAUSE_BEFORE_ENTER_SECONDS + (1 - self.p_end(0.0)) * left * self._mean_gap

    @property
    def ending(self) -> Ending:
        """The kind of the draft's last character."""
        return self._ending

    @property
    def median_gap_seconds(self) -> float:
        """The session's median time between two changes, estimated."""
        return math.exp(self._log_gap)

    @property
    def features(self) -> tuple[float, ...]:
        """The features of the draft, in the order of `FEATURE_WEIGHTS`."""
        log_length = math.log(max(1, self._length))
        against_usual = log_length - self._log_usual_length
        final = self._ending is Ending.FINAL
        final_habit = self._final_share - USUAL_FINAL_SHARE
        return (
            log_length,
            min(0.0, against_usual),
            max(0.0, against_usual),
            float(self._removed),
            math.log1p(self._removals),
            final_habit if final else 0.0,
            0.0 if final else final_habit,
            float(self._messages == 0),
            self._last_gap,
        )

    def _model_log_odds(self) -> float:
        weighted = zip(FEATURE_WEIGHTS.values(), self.features, strict=True)
        return ENDING_WEIGHTS[self._ending] + sum(weight * feature for weight, feature in weighted)

    def _corrected(self) -> float:
        corrections = sum(habits.log_correction(self._ending) for habits in self._habits)
        if self._hinted:
            corrections += math.log(HINT_FACTOR) + sum(habits.log_correction(HINTED) for habits in self._habits)
        return self._log_odds + corrections

    def _count(self, *, came: bool) -> None:
        if not self._length:
            return
        log_odds = self._log_odds
        for habits in self._habits:
            habits_correction = habits.log_correction(self._ending)
            if not self._was_hinted:
                habits.count(self._ending, _logistic(log_odds), came=came)
            log_odds += habits_correction
        if self._was_hinted:
            self._count_hint(log_odds + math.log(HINT_FACTOR), came=came)

    def _count_hint(self, log_odds: float, *, came: bool) -> None:
        for habits in self._habits:
            correction = habits.log_correction(HINTED)
            habits.count(HINTED, _logistic(log_odds), came=came)
            log_odds += correction

    def _take_gap(self, now: float) -> None:
        if self._changed_at is not None:
            gap = min(max(now - self._changed_at, 0.001), LONGEST_GAP_SECONDS)
            self._keys += 1
            step = max(SLOWEST_STEP, 1 / self._keys)
            self._last_gap = min(3.0, max(-3.0, math.log2(gap) - self._log_gap / math.log(2)))
            self._log_gap += math.copysign(step, math.log(gap) - self._log_gap)
            self._mean_gap += step * (gap - self._mean_gap)
        self._changed_at = now

    def _rise(self, silence_seconds: float) -> float:
        if silence_seconds <= 0:
            return 0.0
        doublings = (math.log(silence_seconds) - self._log_gap) / math.log(2) - FIRST_BEND
        return sum(slope * min(1.0, max(0.0, doublings - bend)) for bend, slope in enumerate(RISE_OF[self._ending]))

    def _learn_style(self, text: str) -> None:
        step = 1 / (PRIOR_MESSAGES + 1 + min(self._messages, 10))
        self._messages += 1
        self._log_usual_length += step * (math.log(len(text)) - self._log_usual_length)
        self._final_share += step * ((ending_of(text, self._final_characters) is Ending.FINAL) - self._final_share)


def _logistic(log_odds: float) -> float:
    if log_odds < -700:
        return 0.0
    return 1 / (1 + math.exp(-log_odds))
