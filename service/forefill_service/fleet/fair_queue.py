"""Jobs that wait, and whose is next: callers take turns, and so do the sessions of each.

What a session has waiting is done in order and one at a time, and no caller has more than `most_running` at once.
There are so many `places` for jobs that are not slow. While several callers come, none of them has them all: however
much one asks for, there is a place for the job of another, or soon will be.
"""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Line:
    """Where a job waits: with the others of a caller's session."""

    caller: str = ""
    session: str = ""


NOBODYS = Line("\0")
"""The line of the server itself: its jobs may all run at once."""
RECENT = 64
"""Jobs. A caller who had none of the last so many does not keep a place free."""


class FairQueue(Generic[T]):
    """The jobs that wait, by line, and how many of each caller run."""

    def __init__(self, most_running: int, places: int) -> None:
        self._most_running, self._places = most_running, places
        self._waiting: dict[str, dict[Line, deque[T]]] = {}  # by caller; the next one comes first, at both levels
        self._running: Counter[Line] = Counter()
        self._running_of: Counter[str] = Counter()
        self._slow_of: Counter[str] = Counter()
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, line: Line, job: T) -> None:
        """Have a job wait after the others of its session."""
        self._waiting.setdefault(line.caller, {}).setdefault(line, deque()).append(job)
        self._length += 1

    @property
    def ready(self) -> bool:
        """Whether any of them may run now."""
        return self._next() is not None

    def take(self) -> T:
        """Return the next job, which runs until `ended`. Raises LookupError unless one is `ready`."""
        if (line := self._next()) is None:
            raise LookupError("no job may run now")
        sessions = self._waiting.pop(line.caller)
        jobs = sessions.pop(line)
        self._waiting[line.caller], sessions[line] = sessions, jobs  # all others come before its next
        job = jobs.popleft()
        self._length -= 1
        self._tidy(line)
        self._running[line] += 1
        self._running_of[line.caller] += 1
        if line != NOBODYS:
            self._recent.append(line.caller)
        return job

    def slowed(self, line: Line) -> None:
        """Count one job of this line as slow: it has no place any longer."""
        self._slow_of[line.caller] += 1

    def ended(self, line: Line, *, slow: bool = False) -> None:
        """Count one job of this line as running no longer, which had been counted as slow or not."""
        _count_down(self._running, line)
        _count_down(self._running_of, line.caller)
        if slow:
            _count_down(self._slow_of, line.caller)

    def discard(self, line: Line, job: T) -> None:
        """Have a job wait no longer, if it does."""
        jobs = self._waiting.get(line.caller, {}).get(line)
        if jobs is not None and job in jobs:
            jobs.remove(job)
            self._length -= 1
            self._tidy(line)

    def clear(self) -> list[T]:
        """Have none wait any longer; return those that did."""
        waiting = [job for sessions in self._waiting.values() for jobs in sessions.values() for job in jobs]
        self._waiting.clear()
        self._length = 0
        return waiting

    def _next(self) -> Line | None:
        lines = (line for sessions in self._waiting.values() for line in sessions)
        return next(filter(self._may_run, lines), None)

    def _may_run(self, line: Line) -> bool:
        if line == NOBODYS:
            return True
        running = self._running_of[line.caller]
        if self._running[line] or running >= self._most_running:
            return False
        return running - self._slow_of[line.caller] < self._most_places(line.caller)

    def _most_places(self, caller: str) -> int:
        alone = all(other == caller for other in self._recent)
        return self._places if alone else max(1, self._places - 1)

    def _tidy(self, line: Line) -> None:
        sessions = self._waiting[line.caller]
        if not sessions[line]:
            del sessions[line]
        if not sessions:
            del self._waiting[line.caller]


def _count_down(running: Counter[K], key: K) -> None:
    running[key] -= 1
    if running[key] <= 0:
        del running[key]
