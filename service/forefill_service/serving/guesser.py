"""The worth of one session's guesses now: the chance that SUBMIT comes next, against the price of the engine's time."""

import math

from ..scheduling.guess_price import price
from ..session.events import PregenerationMode
from ..session.guesses import next_tokens, p_end_for, tokens_worth
from .owner import Owner

WHOLE_TOKENS = 8
"""What the answer must be worth, in tokens, to be begun if no second request can go on with it."""


class Guesser:
    """What a session's guesses are worth, and when its Enter is expected.

    With `PregenerationMode.ON`, neither the answers that run nor what was wasted before raises the price, and after the
    set pause an answer is worth all its tokens.
    """

    def __init__(self, owner: Owner, mode: PregenerationMode) -> None:
        settings = owner.backend.settings.pregeneration
        self._typist = owner.backend.typist(owner.tenant)
        self._clock = owner.backend.clock
        self._owner = owner
        self._active = mode is not PregenerationMode.OFF and settings.enabled and settings.in_flight > 0
        self._in_every_pause = mode is PregenerationMode.ON
        self._pause_seconds = owner.backend.settings.warming.pause_ms / 1000
        self._most_tokens = settings.tokens
        self._changed_at: float | None = None
        self._length = 0
        self._nobody_adopts = False
        self._can_go_on = True

    def changed(self, text: str, now: float, *, by_endpoint: bool) -> None:
        """Take the draft as it is from now on; `by_endpoint`: the engine's chat endpoint answers it."""
        self._can_go_on = self._owner.can_go_on(by_endpoint=by_endpoint)
        self._typist.changed(text, removed=len(text) < self._length, now=now)
        self._length, self._changed_at = len(text), now

    def hinted(self, likely: bool) -> None:
        """Take what the client says of the draft as it is now: that SUBMIT is likely soon, or no longer."""
        self._typist.hinted(likely)

    def submitted(self, text: str, now: float, *, handed_off: bool = False) -> None:
        """Learn from what was sent; the next draft begins.

        After a hand-off nothing is begun until the next SUBMIT: an application that asks the engine itself adopts
        nothing.
        """
        self._nobody_adopts = handed_off
        self._typist.submitted(text, now)
        self._length, self._changed_at = 0, None

    def enter_at(self) -> float:
        """Return when Enter is expected, roughly: after a whole message if nothing of it is typed yet."""
        changed_at = self._clock() if self._changed_at is None else self._changed_at
        return changed_at + self._typist.seconds_to_enter()

    @property
    def price(self) -> float:
        """The price of the engine's time now, where the session's requests go; infinite: nothing may be begun."""
        if self._owner.share.quota_seconds:
            return math.inf
        admission = self._owner.route.now.replica.admission
        if self._in_every_pause:
            return price(admission.pressure, 0, 1.0)
        factor = self._owner.backend.guess_budget.factor(*self._owner.accounts)
        return price(admission.pressure, admission.answers, factor)

    def due_at(self, changed_at: float, held_tokens: int) -> float | None:
        """Return when the answer to a draft that stays as it is since `changed_at` is to be begun, or to go on.

        `held_tokens` are what it has of it, 0 if it is not begun. None: not in this silence, as things are now.
        """
        wanted = self._wanted(held_tokens)
        if not self._begins or held_tokens >= wanted or (price_now := self.price) == math.inf:
            return None
        silence_seconds = self._typist.silence_until(p_end_for(wanted, price_now))
        if self._in_every_pause:
            silence_seconds = min(self._pause_seconds, math.inf if silence_seconds is None else silence_seconds)
        return None if silence_seconds is None else changed_at + silence_seconds

    def tokens(self, changed_at: float, held_tokens: int = 0) -> int:
        """Return how many tokens of the answer are worth having by now; at least as many as it was due for."""
        silence_seconds = self._clock() - changed_at
        if self._in_every_pause and silence_seconds >= self._pause_seconds:
            return self._most_tokens
        worth = tokens_worth(self._typist.p_end(silence_seconds), self.price, self._most_tokens)
        return max(worth, self._wanted(held_tokens))

    @property
    def barred(self) -> bool:
        """Whether nothing may be begun now, whatever it is worth."""
        return self._begins and math.isinf(self.price)

    @property
    def _begins(self) -> bool:
        return self._active and not self._nobody_adopts

    def _wanted(self, held_tokens: int) -> int:
        first_tokens = 1 if self._can_go_on else WHOLE_TOKENS
        return min(max(first_tokens, next_tokens(held_tokens)), self._most_tokens)
