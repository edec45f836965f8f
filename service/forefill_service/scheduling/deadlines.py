"""How large a piece of warming has to be so that every session that waits is warm when its Enter is expected.

An engine computes one step after the other, and a step's pieces lengthen the gap between the tokens of every answer
that runs. So the work is spread: each step gets the smallest piece with which all is done in time.

    what                               rule
    order                              earliest deadline first
    deadline of a session              when Enter is expected; no earlier than all that the session lacks could be done
                                       alone, so that one that is late anyway, or lacks very much, gives way to those
                                       that can still be warm in time
    nothing is known of Enter          `DEFAULT_SECONDS_TO_ENTER` from now, whenever now is
    time left until a deadline         `SHARE_OF_TIME` of it: half of all Enters come before they are expected, and no
                                       piece starts while a generation waits for its first token
    share of the engine needed, u      the largest of (work up to and including a deadline / time left), over all
                                       deadlines; twice that for the first alone, as a session has one piece in flight,
                                       and so one in every other step at most
    what the pieces of one step add    step * u / (1 - u): steps so much longer leave u of the time to them
    u is 1 or more                     as much as the budget allows
    at least                           a piece that adds `LEAST_SHARE` of a step, and one block: less is not felt, and
                                       each piece costs a request
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..cache.prefill import Prefill
from .prefill_times import PrefillTimes

SHARE_OF_TIME = 0.5
LEAST_SHARE = 0.1
LEAST_SECONDS_LEFT = 0.05
DEFAULT_SECONDS_TO_ENTER = 10.0
"""From now to Enter, if nothing is known of how the user types: about as long as a short message takes to type."""


@dataclass(frozen=True, slots=True)
class Due:
    """Tokens that a session lacks, after those that are cached, and when they are wanted.

    `enter_at` returns when Enter is expected, in seconds of the admission's clock, and is asked again and again, as the
    user types on; None if nothing is known: then it is `DEFAULT_SECONDS_TO_ENTER` from now, whenever now is.
    """

    enter_at: Callable[[], float] | None
    cached_tokens: int
    lacking_tokens: int

    def after(self, prefill: Prefill) -> "Due | None":
        """Return what is lacking after a prefill, None if nothing is."""
        cached = len(prefill.prefix)
        lacking = self.cached_tokens + self.lacking_tokens - cached
        return Due(self.enter_at, cached, lacking) if lacking > 0 else None


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one session, in seconds that it adds to steps, and its deadline."""

    seconds: float
    deadline: float


def work_of(due: Due, times: PrefillTimes, most_seconds: float, now: float) -> Work:
    """Return the work that is due; `most_seconds` is the most that pieces may add to a step."""
    seconds = times.added_seconds(due.lacking_tokens, due.cached_tokens)
    step_seconds = times.coefficients.fixed
    alone_seconds = seconds * (1 + step_seconds / most_seconds) if most_seconds > 0 else seconds
    if due.enter_at is None:
        return Work(seconds, now + DEFAULT_SECONDS_TO_ENTER)
    return Work(seconds, max(due.enter_at(), now + alone_seconds))


def needed_seconds(works: Sequence[Work], step_seconds: float, now: float) -> float:
    """Return what the pieces of each step have to add to it so that all works meet their deadlines; may be infinite."""
    share = 0.0
    total = 0.0
    for count, work in enumerate(sorted(works, key=lambda work: work.deadline)):
        total += work.seconds
        left = max(LEAST_SECONDS_LEFT, (work.deadline - now) * SHARE_OF_TIME)
        share = max(share, (1 if count else 2) * total / left)
    if share >= 1:
        return float("inf")
    return step_seconds * max(share / (1 - share), LEAST_SHARE)
