"""How likely SUBMIT is to come before another change of the draft: a small model of typing, corrected by habits.

    log-odds(silence) = weights x features of the draft + rise(log2(silence / median gap)) + log of the corrections

The features are of the draft and the session's own past; the rise is a line with a few bends that never falls, one for
each group of last characters; the corrections are what `Habits` count. The weights are fitted by
tests/benchmarks/fit_likelihood.py on a public log of people who chat (see tests/benchmarks/people.md). A change costs
a few microseconds, whatever the draft's length, and no text is kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .endings import DEFAULT_FINAL_CHARACTERS, Ending, ending_of, last_word_length
from .habits import HINTED, Habits, count, logistic

LONGEST_SILENCE_SECONDS = 60.0
"""A silence that is longer is not foreseen."""

ENDING_WEIGHTS = {
    Ending.FINAL: 1.39,
    Ending.SEMICOLON: -1.55,
    Ending.CLOSING: -3.27,
    Ending.COMMA: -4.61,
    Ending.LETTER: -3.12,
    Ending.DIGIT: -2.72,
    Ending.SPACE: -4.09,
    Ending.NEWLINE: -3.0,
    Ending.OTHER: -3.7,
}
"""Log-odds of an end, by the last character."""

FEATURE_WEIGHTS = {
    "log length": -0.53,
    "shorter than usual": 2.28,
    "longer than usual": 0.11,
    "log length of the last word": 1.02,
    "removed": -1.77,
    "final habit if final": 1.28,
    "final habit if not": -2.36,
}
"""What one unit of each feature adds to the log-odds; `Typist.features` has them in this order."""

RISES = {
    Ending.FINAL: (0.22, 0.0, 0.0, 0.0),
    Ending.LETTER: (0.66, 0.35, 0.0, 0.0),
    Ending.SPACE: (0.25, 0.05, 0.05, 0.13),
}
"""What each doubling of the silence adds to the log-odds, the first from half of the median gap; none is negative."""

RISE_OF = dict.fromkeys(Ending, Ending.SPACE) | {
    Ending.FINAL: Ending.FINAL,
    Ending.LETTER: Ending.LETTER,
    Ending.DIGIT: Ending.LETTER,
}
"""The row of `RISES` for each kind of last character."""

FIRST_BEND = -1
"""The rise begins where log2(silence / median gap) is this."""

HINT_FACTOR = 8.0
"""A hint multiplies the odds by this, until habits know better."""

LOG_2 = math.log(2)


@dataclass(frozen=True, slots=True)
class Chance:
    """The chance that SUBMIT comes before another change of one draft, as a function of the silence so far.

    `log_odds` is at no silence; `log_gap` is the logarithm of the session's median gap in seconds.
    """

    log_odds: float
    log_gap: float
    rise: tuple[float, ...]

    def after(self, silence_seconds: float) -> float:
        """Return the chance after this silence; it never falls as the silence grows."""
        return logistic(self.log_odds + self._risen(silence_seconds))

    def reaches(self, p: float) -> float | None:
        """Return the least silence in seconds after which the chance is `p`, from 0 to 1; None: not in a minute."""
        if p >= 1:
            return None
        missing = math.log(p / (1 - p)) - self.log_odds if p > 0 else 0.0
        if missing <= 0:
            return 0.0
        for bend, slope in enumerate(self.rise, start=FIRST_BEND):
            if missing <= slope:
                log_silence = self.log_gap + LOG_2 * (bend + missing / slope)
                return math.exp(log_silence) if log_silence <= math.log(LONGEST_SILENCE_SECONDS) else None
            missing -= slope
        return None

    def _risen(self, silence_seconds: float) -> float:
        if silence_seconds <= 0:
            return 0.0
        doublings = (math.log(silence_seconds) - self.log_gap) / LOG_2 - FIRST_BEND
        return sum(slope * min(1.0, max(0.0, doublings - bend)) for bend, slope in enumerate(self.rise))


USUAL_GAP_SECONDS = 0.293
USUAL_LENGTH = 24.0
USUAL_FINAL_SHARE = 0.44
USUAL_PAUSE_BEFORE_ENTER_SECONDS = 0.65
"""Medians of the public log, taken for a session's own until it shows its own."""

PRIOR_KEYS = 4
SLOWEST_KEY_STEP = 0.04
PRIOR_MESSAGES = 2
SLOWEST_MESSAGE_STEP = 1 / 13
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
        self._mean_gap = 1.5 * USUAL_GAP_SECONDS
        self._keys = PRIOR_KEYS
        self._log_usual_length = math.log(USUAL_LENGTH)
        self._final_share = USUAL_FINAL_SHARE
        self._log_pause_before_enter = math.log(USUAL_PAUSE_BEFORE_ENTER_SECONDS)
        self._messages = 0
        self._begin_draft()

    def _begin_draft(self) -> None:
        self._length = 0
        self._changed_at: float | None = None
        self._ending = Ending.OTHER
        self._features = (0.0,) * len(FEATURE_WEIGHTS)
        self._model_log_odds = -math.inf
        self._was_hinted = False
        self._set_chance(hinted=False)

    def changed(self, text: str, *, removed: bool, now: float) -> None:
        """Take a change: the draft is this from now on; `removed` says that the change took text away."""
        self._count(came=False)
        self._take_gap(now)
        self._length = len(text)
        self._was_hinted = False
        self._ending = ending_of(text, self._final_characters)
        self._features = self._features_of(text, removed)
        self._model_log_odds = log_odds(self._ending, self._features) if text else -math.inf
        self._set_chance(hinted=False)

    def hinted(self, likely: bool) -> None:
        """Take the client's word that Enter is likely, or no longer; the next change ends it."""
        self._was_hinted = self._was_hinted or likely
        self._set_chance(hinted=likely)

    def submitted(self, text: str, now: float) -> None:
        """Learn from a message that was sent; the next draft begins empty."""
        self._count(came=len(text) == self._length)
        for habits in self._habits:
            habits.message_sent()
        if text:
            self._learn_style(text, now)
        self._begin_draft()

    def p_end(self, silence_seconds: float) -> float:
        """Return the chance that SUBMIT comes before another change, after this silence; it never falls in silence."""
        return self._chance.after(silence_seconds)

    def silence_until(self, p: float) -> float | None:
        """Return the least silence in seconds after which `p_end` reaches `p`; None: not within a minute."""
        return self._chance.reaches(p)

    def seconds_to_enter(self) -> float:
        """Return the expected seconds from the last change to Enter: rough, from the usual length, pace and p.

        It is the usual pause before Enter and, unless this is the end, the keys that are missing to the usual length,
        but no fewer than a quarter of it.
        """
        usual_length = math.exp(self._log_usual_length)
        keys_left = max(usual_length - self._length, usual_length / 4)
        return math.exp(self._log_pause_before_enter) + (1 - self.p_end(0.0)) * keys_left * self._mean_gap

    @property
    def chance(self) -> Chance:
        """The chance that the draft is complete, as a function of the silence."""
        return self._chance

    @property
    def ending(self) -> Ending:
        """The kind of the draft's last character."""
        return self._ending

    @property
    def features(self) -> tuple[float, ...]:
        """The features of the draft, in the order of `FEATURE_WEIGHTS`."""
        return self._features

    @property
    def median_gap_seconds(self) -> float:
        """The session's median time between two changes, estimated."""
        return math.exp(self._log_gap)

    def _features_of(self, text: str, removed: bool) -> tuple[float, ...]:
        log_length = math.log(max(1, self._length))
        trust = self._messages / (self._messages + PRIOR_MESSAGES)
        against_usual = trust * (log_length - self._log_usual_length)
        final = self._ending is Ending.FINAL
        final_habit = self._final_share - USUAL_FINAL_SHARE
        return (
            log_length,
            min(0.0, against_usual),
            max(0.0, against_usual),
            math.log(last_word_length(text)),
            float(removed),
            final_habit if final else 0.0,
            0.0 if final else final_habit,
        )

    def _set_chance(self, *, hinted: bool) -> None:
        corrected = self._model_log_odds + sum(habits.log_correction(self._ending) for habits in self._habits)
        if hinted:
            corrected += math.log(HINT_FACTOR) + sum(habits.log_correction(HINTED) for habits in self._habits)
        self._chance = Chance(corrected, self._log_gap, RISES[RISE_OF[self._ending]])

    def _count(self, *, came: bool) -> None:
        if not self._length:
            return
        if self._was_hinted:
            corrected = self._model_log_odds + sum(habits.log_correction(self._ending) for habits in self._habits)
            count(self._habits, HINTED, corrected + math.log(HINT_FACTOR), came=came)
        else:
            count(self._habits, self._ending, self._model_log_odds, came=came)

    def _take_gap(self, now: float) -> None:
        before, self._changed_at = self._changed_at, now
        if before is None:
            return
        gap = min(max(now - before, 0.001), LONGEST_GAP_SECONDS)
        self._keys += 1
        step = max(SLOWEST_KEY_STEP, 1 / self._keys)
        self._log_gap += math.copysign(step, math.log(gap) - self._log_gap)
        self._mean_gap += step * (gap - self._mean_gap)

    def _learn_style(self, text: str, now: float) -> None:
        self._messages += 1
        step = max(SLOWEST_MESSAGE_STEP, 1 / (PRIOR_MESSAGES + self._messages))
        self._log_usual_length += step * (math.log(len(text)) - self._log_usual_length)
        if self._changed_at is not None:
            pause = min(max(now - self._changed_at, 0.001), LONGEST_GAP_SECONDS)
            self._log_pause_before_enter += step * (math.log(pause) - self._log_pause_before_enter)
        self._final_share += step * ((ending_of(text, self._final_characters) is Ending.FINAL) - self._final_share)


def log_odds(ending: Ending, features: Sequence[float]) -> float:
    """Return the log-odds of an end at no silence, uncorrected."""
    weighted = zip(FEATURE_WEIGHTS.values(), features, strict=True)
    return ENDING_WEIGHTS[ending] + sum(weight * feature for weight, feature in weighted)
