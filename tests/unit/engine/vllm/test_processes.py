"""What is seen of processes, on real ones: one that works, one that sleeps, one that is stopped, one that has ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children, get_context
from types import SimpleNamespace

import psutil  # type: ignore[import-untyped]
import pytest
from forefill_service.engine.vllm.processes import EngineProcesses, children_since
from forefill_service.engine.vllm.vitals import ProcessState

WORKS = "while True: pass"
SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"
HAS_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPS!r}])"
SECONDS_TO_GIVE_UP = 60


@contextmanager
def running(program: str, *, ready: bool = True) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        if ready:
            process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + SECONDS_TO_GIVE_UP
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def seen(processes: EngineProcesses) -> ProcessState:
    [state] = processes.look(closely=False)
    return state


def test_the_cpu_time_of_one_that_works_grows() -> None:
    with running(WORKS, ready=False) as pid:
        processes = EngineProcesses([pid])
        before = seen(processes)
        assert (before.pid, before.stopped) == (pid, False)
        until(lambda: seen(processes).cpu_seconds > before.cpu_seconds + 0.05)


def test_one_that_is_stopped_is_seen_to_be_until_it_goes_on() -> None:
    with running(SLEEPS) as pid:
        processes = EngineProcesses([pid])
        assert not seen(processes).stopped
        os.kill(pid, signal.SIGSTOP)
        until(lambda: seen(processes).stopped)
        os.kill(pid, signal.SIGCONT)
        until(lambda: not seen(processes).stopped)


def test_the_workers_of_one_are_seen_with_it_and_what_it_starts_later_if_one_looks_closely() -> None:
    with running(HAS_A_CHILD) as pid:
        until(lambda: len(EngineProcesses([pid]).look(closely=False)) == 2)
    starts_later = f"import time; print('ready', flush=True); time.sleep(0.5); {HAS_A_CHILD}"
    with running(starts_later) as pid:
        processes = EngineProcesses([pid])
        until(lambda: len(processes.look(closely=True)) == 2)
        assert len(processes.look(closely=False)) == 1
        processes.kill()


def test_one_that_has_ended_is_left_out() -> None:
    with running(SLEEPS) as pid:
        processes = EngineProcesses([pid])
    assert processes.look(closely=True) == ()
    assert EngineProcesses([pid]).look(closely=True) == ()
    processes.kill()


def test_all_are_killed_stopped_or_not_and_have_ended_then() -> None:
    with running(HAS_A_CHILD) as pid:
        until(lambda: len(EngineProcesses([pid]).look(closely=False)) == 2)
        processes = EngineProcesses([pid])
        family = [psutil.Process(state.pid) for state in processes.look(closely=False)]
        os.kill(pid, signal.SIGSTOP)
        processes.kill()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                assert process.status() == psutil.STATUS_ZOMBIE


def test_those_that_vllm_starts_are_told_from_those_that_were_there() -> None:
    context = get_context("spawn")
    before = active_children()
    started = context.Process(target=time.sleep, args=(600,))
    started.start()
    try:
        assert children_since(before) == [started]
        assert children_since([*before, started]) == []
    finally:
        started.kill()
        started.join()


PARALLEL = {
    "nnodes": 1,
    "distributed_executor_backend": "mp",
    "data_parallel_backend": "mp",
    "data_parallel_size": 2,
    "data_parallel_size_local": 2,
}


@pytest.mark.parametrize(
    ("changed", "on_cpu", "shows"),
    [
        ({}, True, True),
        ({"distributed_executor_backend": "uni"}, True, True),
        ({}, False, False),
        ({"nnodes": 2}, True, False),
        ({"distributed_executor_backend": "ray"}, True, False),
        ({"data_parallel_backend": "ray"}, True, False),
        ({"data_parallel_size_local": 1}, True, False),
    ],
    ids=["CPU", "one process", "GPU", "two nodes", "Ray", "Ray for the ranks", "ranks elsewhere"],
)
def test_work_shows_on_a_cpu_if_all_processes_are_here(changed: dict[str, object], on_cpu: bool, shows: bool) -> None:
    with running(SLEEPS) as pid:
        process, parallel = SimpleNamespace(pid=pid), SimpleNamespace(**PARALLEL | changed)
        processes = EngineProcesses.of([process], parallel, on_cpu=on_cpu)  # type: ignore[list-item]
        assert processes.work_shows is shows
        assert EngineProcesses.of([], parallel, on_cpu=on_cpu).work_shows is False
