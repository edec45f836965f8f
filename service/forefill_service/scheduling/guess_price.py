"""The price of the engine's time for guesses, in seconds of a user's wait that a second of it has to save.

state of the engine                        price
nothing but speculative work               `BASE_PRICE`
answers run                                that, once more for each of them: all wait for what a guess adds to a step
pressure                                   infinite: nothing is begun

It is multiplied by what was wasted lately, as a share of the answers: `factor` of the worst of the session, its tenant
and the server.

An account holds the engine's seconds that went into guesses for nothing, and those that went into answers; older ones
fade by half with each `FADING_SECONDS` of answers. Each session opens with a credit, so that it may guess before its
first answer.

The constants were chosen on the users of a public log that are for training (tests/benchmarks/people.md), where an
answer takes 5 s of the engine: the credit is one answer, and what is older than ten weighs half.
"""

import math
from dataclasses import dataclass

from .accounts import Accounts
from .pressure import Pressure

BASE_PRICE = 0.03
CREDIT_SECONDS = 5.0
FADING_SECONDS = 50.0
LEAST_FACTOR = 0.25
STEEPNESS = 4.0
"""Doublings of the price from nothing wasted to the whole budget: at half of it, the price is the base."""
SERVER = "server"


@dataclass(slots=True)
class _Account:
    wasted: float = 0.0
    answers: float = 0.0

    @property
    def wasted_share(self) -> float:
        if self.answers > 0:
            return self.wasted / self.answers
        return math.inf if self.wasted > 0 else 0.0


class GuessBudget:
    """What the guesses of one server's sessions wasted lately; `share` of the answers' time is what they may waste."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._accounts = Accounts(_Account)

    def wasted_share(self, *owners: str) -> float:
        """Return the engine's time wasted lately per time of answers, for the worst of these and the server."""
        return max(account.wasted_share for account in self._of(owners))

    def factor(self, *owners: str) -> float:
        """Return by what the price is multiplied: 1 at half of the budget, 4 at all of it."""
        if self._share <= 0:
            return math.inf
        used = min(self.wasted_share(*owners) / self._share, 100.0)
        return max(LEAST_FACTOR, math.exp2(STEEPNESS * (used - 0.5)))

    def opened(self, *owners: str) -> None:
        """Give the owners of a new session, and the server, its credit."""
        for account in self._of(owners):
            account.answers += CREDIT_SECONDS

    def wasted(self, seconds: float, *owners: str) -> None:
        """Add a guess that came to nothing, by the engine's time for it; negative seconds take back what was added."""
        for account in self._of(owners):
            account.wasted = max(0.0, account.wasted + seconds)

    def answered(self, seconds: float, *owners: str) -> None:
        """Add an answer, by the engine's time for it."""
        fading = 0.5 ** (seconds / FADING_SECONDS)
        for account in self._of(owners):
            account.wasted *= fading
            account.answers = account.answers * fading + seconds

    def _of(self, owners: tuple[str, ...]) -> list[_Account]:
        return [self._accounts.of(owner) for owner in (*owners, SERVER)]


def price(pressure: Pressure, answers: int, factor: float) -> float:
    """Return the price now, with this many answers running; infinite if nothing may be begun."""
    return math.inf if pressure > Pressure.NONE else BASE_PRICE * (1 + answers) * factor
