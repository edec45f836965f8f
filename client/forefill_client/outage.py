"""The time from a broken stream to the next one: how long to try, and how long to wait before each try."""

import random
from collections.abc import Callable

from .errors import ForefillError
from .options import Resume

MOST_DOUBLINGS = 60
"""The limit of the delays is reached long before."""


class Outage:
    """The tries to reach a server again, as `Resume` says."""

    def __init__(self, resume: Resume, clock: Callable[[], float]) -> None:
        self._resume = resume
        self._clock = clock
        self._until = clock() + resume.seconds
        self._tries = 0

    def next_delay_seconds(self, failure: ForefillError) -> float | None:
        """Return how long to wait before the next try, after what the server asks for; None if time is over by then."""
        resume = self._resume
        doubled = resume.first_delay_seconds * 2.0 ** min(self._tries, MOST_DOUBLINGS)
        most_seconds = min(resume.longest_delay_seconds, doubled)
        delay_seconds = failure.retry_after_seconds + random.uniform(0, most_seconds)  # noqa: S311 - no secret
        self._tries += 1
        return None if self._clock() + delay_seconds >= self._until else delay_seconds
