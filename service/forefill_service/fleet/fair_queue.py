"""Jobs that wait, and whose is next: callers take turns, and so do the sessions of each.

A caller names the principal for whom a job is done, and which of his sessions it is for. What a session has waiting is
done in order and one at a time, and no principal has more than `most_running` at once: however much one asks for, the
job of another waits for no more than one of his on each thread.
"""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a job is done: a principal, and one of his sessions."""

    principal: str = ""
    session: str = ""


NOBODY = Caller("\0")
"""The server itself: its jobs wait in a line of their own, and may all run at once."""


class FairQueue(Generic[T]):
    """The jobs that wait, by caller, and how many of each caller run."""

    def __init__(self, most_running: int) -> None:
        self._most_running = most_running
        self._waiting: dict[str, dict[Caller, deque[T]]] = {}  # by principal; the next one comes first, at both levels
        self._running: Counter[Caller] = Counter()
        self._running_of: Counter[str] = Counter()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, caller: Caller, job: T) -> None:
        """Have a job wait after the others of its session."""
        self._waiting.setdefault(caller.principal, {}).setdefault(caller, deque()).append(job)
        self._length += 1

    @property
    def ready(self) -> bool:
        """Whether any of them may run now."""
        return self._next() is not None

    def take(self) -> T:
        """Return the next job, which runs until `ended`. Raises LookupError unless one is `ready`."""
        if (caller := self._next()) is None:
            raise LookupError("no job may run now")
        sessions = self._waiting.pop(caller.principal)
        jobs = sessions.pop(caller)
        self._waiting[caller.principal], sessions[caller] = sessions, jobs  # all others come before its next
        job = jobs.popleft()
        self._length -= 1
        self._tidy(caller)
        self._running[caller] += 1
        self._running_of[caller.principal] += 1
        return job

    def ended(self, caller: Caller) -> None:
        """Count one job of this caller as running no longer."""
        _count_down(self._running, caller)
        _count_down(self._running_of, caller.principal)

    def discard(self, caller: Caller, job: T) -> None:
        """Have a job wait no longer, if it does."""
        jobs = self._waiting.get(caller.principal, {}).get(caller)
        if jobs is not None and job in jobs:
            jobs.remove(job)
            self._length -= 1
            self._tidy(caller)

    def clear(self) -> list[T]:
        """Have none wait any longer; return those that did."""
        waiting = [job for sessions in self._waiting.values() for jobs in sessions.values() for job in jobs]
        self._waiting.clear()
        self._length = 0
        return waiting

    def _next(self) -> Caller | None:
        callers = (caller for sessions in self._waiting.values() for caller in sessions)
        return next(filter(self._may_run, callers), None)

    def _may_run(self, caller: Caller) -> bool:
        if caller == NOBODY:
            return True
        return self._running_of[caller.principal] < self._most_running and not self._running[caller]

    def _tidy(self, caller: Caller) -> None:
        sessions = self._waiting[caller.principal]
        if not sessions[caller]:
            del sessions[caller]
        if not sessions:
            del self._waiting[caller.principal]


def _count_down(running: Counter[K], key: K) -> None:
    running[key] -= 1
    if running[key] <= 0:
        del running[key]
