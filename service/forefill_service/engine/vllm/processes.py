"""The processes of an embedded vLLM, seen from outside: vLLM itself does not notice one that is stopped or hangs."""

from __future__ import annotations

import time
from contextlib import suppress
from multiprocessing import active_children
from typing import TYPE_CHECKING, Any

from .vitals import ProcessState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from multiprocessing.process import BaseProcess

KILL_SECONDS = 10
"""How long those that were killed may take to give back their memory."""


class EngineProcesses:
    """Processes that this one has started, with their children as of now.

    `work_shows` says whether what they do for a request shows in the CPU time that they use: see `vitals`.
    """

    def __init__(self, pids: Collection[int] = (), *, work_shows: bool = False) -> None:
        self.work_shows = work_shows and bool(pids)
        self._roots: list[Any] = []
        self._all: list[Any] = []
        if pids:
            import psutil  # type: ignore[import-untyped]  # it comes with vLLM

            for pid in pids:
                with suppress(psutil.NoSuchProcess):
                    self._roots.append(psutil.Process(pid))
            self._all = [*self._roots, *self._descendants()]

    @classmethod
    def of(cls, started: Collection[BaseProcess], parallel: Any, *, on_cpu: bool) -> EngineProcesses:
        """Return those that vLLM has started; `parallel` is its ParallelConfig.

        On a GPU a worker sleeps while it waits for a step to end, and there may be workers on other machines.
        """
        here = (
            parallel.nnodes == 1
            and parallel.distributed_executor_backend in ("mp", "uni")
            and parallel.data_parallel_backend == "mp"
            and parallel.data_parallel_size_local == parallel.data_parallel_size
        )
        return cls([process.pid for process in started if process.pid], work_shows=on_cpu and here)

    def look(self, *, closely: bool) -> tuple[ProcessState, ...]:
        """Return the state of each; closely also that of processes that they have started since, such as compilers.

        One that has ended is left out: vLLM notices that itself.
        """
        processes = {process.pid: process for process in self._all}
        if closely:
            processes |= {process.pid: process for process in self._descendants()}
        return tuple(state for process in processes.values() if (state := _state(process)) is not None)

    def kill(self) -> None:
        """Kill them and all that they have started, and wait until they have given back their memory."""
        import psutil

        processes = {*self._all, *self._descendants()}
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        deadline = time.monotonic() + KILL_SECONDS
        while any(map(_lives, processes)) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _descendants(self) -> Sequence[Any]:
        import psutil

        found: list[Any] = []
        for root in self._roots:
            with suppress(psutil.NoSuchProcess):
                found += root.children(recursive=True)
        return found


def children_since(before: Collection[BaseProcess]) -> list[BaseProcess]:
    """Return the processes that `multiprocessing` has started in this one since there were only those of `before`."""
    return [process for process in active_children() if process not in before]


def _lives(process: Any) -> bool:
    """Return whether it still runs. A zombie does not: only its parent has yet to read its exit status."""
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _state(process: Any) -> ProcessState | None:
    import psutil

    try:
        with process.oneshot():
            status, used = process.status(), process.cpu_times()
    except psutil.NoSuchProcess:
        return None
    return ProcessState(
        process.pid,
        used.user + used.system,
        stopped=status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP),
        waits_for_disk=status == psutil.STATUS_DISK_SLEEP,
    )
