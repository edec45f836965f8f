"""When an embedded vLLM counts as hung: looks go in, a second apart, and one line of why comes out."""

from collections.abc import Callable, Iterator

import pytest
from forefill_service.engine.vllm.vitals import (
    IDLE_SECONDS,
    SILENT_SECONDS,
    STOPPED_SECONDS,
    WORKING_SHARE,
    Look,
    ProcessState,
    Vitals,
)

CORE, WORKER, COMPILER = 1, 2, 3
Second = Callable[[int], Look]


def looks(see: Second, seconds: int) -> Iterator[Look]:
    yield Look(0, answered=True, processes=see(0).processes)
    for second in range(1, seconds + 1):
        yield see(second)


def hung_after(see: Second, *, work_shows: bool = True, within: int = 300) -> tuple[float, str] | None:
    """Return after how many seconds of these looks vLLM counts as hung, and why; None if it never does."""
    vitals = Vitals(work_shows)
    for look in looks(see, within):
        if hang := vitals.hang(look):
            return look.at, hang
    return None


def busy(second: float) -> ProcessState:
    return ProcessState(WORKER, cpu_seconds=second)


def idle(pid: int = CORE, **state: bool) -> ProcessState:
    return ProcessState(pid, cpu_seconds=7.5, **state)


def test_one_that_answers_is_alive_however_idle_it_is() -> None:
    assert hung_after(lambda second: Look(second, True, (idle(CORE), idle(WORKER)))) is None


def test_one_that_is_stopped_is_hung_though_another_process_still_answers() -> None:
    seconds, why = hung_after(lambda second: Look(second, True, (idle(CORE), idle(WORKER, stopped=True)))) or (0, "")
    assert seconds == STOPPED_SECONDS
    assert why == "its process 2 has been stopped for 5 s"


def test_one_that_is_stopped_for_a_moment_now_and_then_is_alive() -> None:
    moments = STOPPED_SECONDS - 1

    def see(second: int) -> Look:
        return Look(second, True, (idle(stopped=second % (moments + 1) < moments),))

    assert hung_after(see) is None


def test_a_silence_in_which_nobody_works_is_a_hang() -> None:
    seconds, why = hung_after(lambda second: Look(second, False, (idle(CORE), idle(WORKER)))) or (0, "")
    assert seconds == IDLE_SECONDS
    assert why == "it has not answered for 5 s, in which its processes did nothing"


def test_a_silence_in_which_one_works_is_a_long_step_up_to_a_limit() -> None:
    seconds, why = hung_after(lambda second: Look(second, False, (idle(CORE), busy(second)))) or (0, "")
    assert seconds == SILENT_SECONDS
    assert why == "it has not answered for 60 s"


def test_what_background_threads_use_is_no_work() -> None:
    def see(second: int) -> Look:
        return Look(second, False, (ProcessState(CORE, cpu_seconds=second * WORKING_SHARE / 2),))

    seconds, _ = hung_after(see) or (0, "")
    assert seconds == IDLE_SECONDS


def test_a_process_that_waits_for_a_disk_works() -> None:
    seconds, _ = hung_after(lambda second: Look(second, False, (idle(waits_for_disk=True),))) or (0, "")
    assert seconds == SILENT_SECONDS


def test_a_compiler_that_a_process_waits_for_works() -> None:
    def see(second: int) -> Look:
        compiler = () if second < 2 else (ProcessState(COMPILER + second // 2, cpu_seconds=0.4 * (second % 2 + 1)),)
        return Look(second, False, (idle(CORE), idle(WORKER), *compiler))

    seconds, _ = hung_after(see) or (0, "")
    assert seconds == SILENT_SECONDS


def test_the_silence_begins_anew_with_each_answer() -> None:
    assert hung_after(lambda second: Look(second, second % 4 == 0, (idle(),))) is None


def test_after_work_the_idle_time_begins_anew() -> None:
    def see(second: int) -> Look:
        return Look(second, False, (ProcessState(WORKER, cpu_seconds=min(second, 20)),))

    seconds, _ = hung_after(see) or (0, "")
    assert seconds == 20 + IDLE_SECONDS


@pytest.mark.parametrize("processes", [(), (idle(),)], ids=["on other machines", "waiting for a GPU"])
def test_if_work_does_not_show_only_a_long_silence_is_a_hang(processes: tuple[ProcessState, ...]) -> None:
    seconds, _ = hung_after(lambda second: Look(second, False, processes), work_shows=False) or (0, "")
    assert seconds == SILENT_SECONDS


@pytest.mark.parametrize("work_shows", [True, False])
def test_time_in_which_nobody_looked_proves_nothing(work_shows: bool) -> None:
    vitals, stopped_with_us = Vitals(work_shows), idle(stopped=True)
    assert not vitals.hang(Look(0, True, (idle(),)))
    assert not vitals.hang(Look(1, False, (idle(),)))
    assert not vitals.hang(Look(1000, False, (stopped_with_us,)))
    assert not vitals.hang(Look(1001, True, (idle(),)))
