"""Whether vLLM works, hangs or is stopped, by what each look at its processes finds: pure, no clock, no await.

    a process is stopped for STOPPED_SECONDS (SIGSTOP, a debugger)                           hung
    a question stays unanswered, and no process works, for IDLE_SECONDS                      hung, if work shows
    a question stays unanswered for SILENT_SECONDS                                           hung, whatever they do
    else                                                                                     alive

vLLM answers questions between two steps, so a long silence alone proves nothing: a step with thousands of tokens takes
many seconds on a CPU. In such a step its processes use the CPU, or wait for a disk; if they hang they do neither.
Elsewhere work does not show: a process that waits for its GPU, or for a process on another machine, sleeps.

Only what was looked at counts. After a time in which this process itself did not run (a stalled event loop, Ctrl-Z, a
paused container), it knows no more than before, and an answer may wait to be read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

STOPPED_SECONDS = 5.0
IDLE_SECONDS = 5.0
SILENT_SECONDS = 60.0
MOST_BETWEEN_LOOKS_SECONDS = 2.0
"""Longer pauses between two looks count for as much as this."""
WORKING_SHARE = 0.05
"""A process works if it uses more than this share of one CPU; the threads of an idle one use less."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What one look finds of one process: the CPU time that it has used since it began, and why it does not run."""

    pid: int
    cpu_seconds: float
    stopped: bool = False
    waits_for_disk: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One look: whether vLLM had answered the last question by then, and its processes."""

    at: float
    answered: bool
    processes: tuple[ProcessState, ...] = ()


@dataclass(slots=True)
class Vitals:
    """The state of one vLLM. `work_shows` says whether its processes can be seen to work."""

    work_shows: bool
    _looked_at: float | None = None
    _cpu_seconds: Mapping[int, float] = field(default_factory=dict)
    _stopped_seconds: float = 0.0
    _idle_seconds: float = 0.0
    _silent_seconds: float = 0.0

    def hang(self, look: Look) -> str:
        """Take in a look; return one line of why vLLM counts as hung, "" if it does not."""
        elapsed = 0.0 if self._looked_at is None else min(look.at - self._looked_at, MOST_BETWEEN_LOOKS_SECONDS)
        works = self._works(look, elapsed)
        stopped = [process.pid for process in look.processes if process.stopped]
        self._looked_at = look.at
        self._cpu_seconds = {process.pid: process.cpu_seconds for process in look.processes}
        self._stopped_seconds = self._stopped_seconds + elapsed if stopped else 0.0
        self._silent_seconds = 0.0 if look.answered else self._silent_seconds + elapsed
        self._idle_seconds = 0.0 if look.answered or works else self._idle_seconds + elapsed
        if self._stopped_seconds >= STOPPED_SECONDS:
            return f"its process {stopped[0]} has been stopped for {self._stopped_seconds:.0f} s"
        if self.work_shows and self._idle_seconds >= IDLE_SECONDS:
            return f"it has not answered for {self._silent_seconds:.0f} s, in which its processes did nothing"
        if self._silent_seconds >= SILENT_SECONDS:
            return f"it has not answered for {self._silent_seconds:.0f} s"
        return ""

    def _works(self, look: Look, elapsed: float) -> bool:
        return any(
            process.waits_for_disk
            or process.cpu_seconds - self._cpu_seconds.get(process.pid, 0.0) > WORKING_SHARE * elapsed
            for process in look.processes
        )
