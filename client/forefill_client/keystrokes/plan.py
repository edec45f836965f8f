"""The plan of a typist, event by event with its time: pure, so that a seed makes a whole run repeatable.

Nothing here waits or reads a clock. The planned gaps between keys decide when a FLUSH comes, not a race of timers, and
`timestamp_ms` is the sum of the planned delays: two plans with equal arguments are equal in every field.
"""

from collections.abc import Iterator
from random import Random
from string import ascii_lowercase
from typing import Final

from .boundaries import CONFIRMATION_BOUNDARIES, confirmable_by, flush_is_due
from .events import EventType, KeystrokeEvent, StreamingSession
from .typing_model import FlushRule, TypingModel

FASTEST_KEY_MS: Final = 20.0
NOTICE_TYPO_MS: Final = (50.0, 150.0)
CORRECT_TYPO_MS: Final = (30.0, 80.0)

Step = tuple[float, KeystrokeEvent]


def press(
    session: StreamingSession, rule: FlushRule, event_type: EventType, timestamp_ms: float, char: str | None = None
) -> KeystrokeEvent:
    """Apply one event to `session` and return it as a consumer sees it; a FLUSH confirms by `rule`."""
    match event_type:
        case EventType.CHAR_ADD:
            session.current_text += char or ""
        case EventType.CHAR_DELETE:
            session.current_text = session.current_text[:-1]
            if len(session.current_text) < session.confirmed_len:
                session.confirmed_len = confirmable_by(rule, session.current_text)
        case EventType.FLUSH:
            session.confirmed_len = max(session.confirmed_len, confirmable_by(rule, session.current_text))
        case EventType.SUBMIT:
            session.confirmed_len = len(session.current_text)
        case EventType.END:
            pass
    session.total_events += 1
    return KeystrokeEvent(event_type, char, timestamp_ms, session.current_text, session.confirmed_text)


def can_flush(session: StreamingSession, rule: FlushRule) -> bool:
    """Return whether a FLUSH would confirm enough that is new."""
    return flush_is_due(rule, session.current_text, session.confirmed_len)


def plan_typing(text: str, model: TypingModel, rng: Random, *, submit_at_end: bool = True) -> Iterator[Step]:
    """Plan the typing of `text`: yield each event but END as (milliseconds to wait before it, event).

    One key is one code point, so a letter with a combining mark, or an emoji of several code points, takes several
    keys. With FlushRule.DEBOUNCE the typist waits for the debounce after the last key, as the notebook does; with
    FlushRule.WORD Enter is one more key.
    """
    typist = _Typist(model, rng)
    for char in text:
        yield from typist.type(char)
    yield from typist.finish(submit_at_end)


class _Typist:
    def __init__(self, model: TypingModel, rng: Random) -> None:
        self.model = model
        self.rng = rng
        self.session = StreamingSession(start_time_ms=0.0)
        self.now_ms = 0.0

    def type(self, char: str) -> Iterator[Step]:
        gap_ms = self.gap_before_key_ms()
        if char.isalpha() and self.rng.random() < self.model.typo_rate:
            wrong = self.rng.choice([letter for letter in ascii_lowercase if letter != char])
            yield from self.step_after_gap(gap_ms, EventType.CHAR_ADD, wrong)
            yield from self.step_after_gap(self.rng.uniform(*NOTICE_TYPO_MS), EventType.CHAR_DELETE)
            gap_ms = self.rng.uniform(*CORRECT_TYPO_MS)
        yield from self.step_after_gap(gap_ms, EventType.CHAR_ADD, char)

    def step_after_gap(self, gap_ms: float, event_type: EventType, char: str | None = None) -> Iterator[Step]:
        debounced = self.model.flush_rule is FlushRule.DEBOUNCE and gap_ms > self.model.debounce_ms
        if debounced and can_flush(self.session, self.model.flush_rule):
            yield self.step(self.model.debounce_ms, EventType.FLUSH)
            gap_ms -= self.model.debounce_ms
        yield self.step(gap_ms, event_type, char)
        if self.model.flush_rule is FlushRule.WORD and can_flush(self.session, self.model.flush_rule):
            yield self.step(0.0, EventType.FLUSH)

    def finish(self, submit_at_end: bool) -> Iterator[Step]:
        rest_ms = self.rest_ms()
        if self.model.flush_rule is FlushRule.DEBOUNCE and can_flush(self.session, self.model.flush_rule):
            yield self.step(rest_ms, EventType.FLUSH)
            rest_ms = 0.0
        if submit_at_end:
            yield self.step(rest_ms, EventType.SUBMIT)

    def step(self, delay_ms: float, event_type: EventType, char: str | None = None) -> Step:
        self.now_ms += delay_ms
        return delay_ms, press(self.session, self.model.flush_rule, event_type, self.now_ms, char)

    def gap_before_key_ms(self) -> float:
        fastest_ms = min(FASTEST_KEY_MS, self.model.mean_delay_ms)
        gap_ms = max(fastest_ms, self.rng.gauss(self.model.mean_delay_ms, self.model.std_delay_ms))
        after_boundary = self.session.current_text[-1:] in CONFIRMATION_BOUNDARIES
        return gap_ms + self.model.pause_after_boundary * after_boundary

    def rest_ms(self) -> float:
        if not self.session.current_text:
            return 0.0
        if self.model.flush_rule is FlushRule.DEBOUNCE:
            return self.model.debounce_ms
        return self.gap_before_key_ms()
