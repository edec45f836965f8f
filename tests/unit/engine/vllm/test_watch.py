"""An embedded vLLM is watched, without vLLM: questions that come back, or do not, and a clock that the test sets."""

import asyncio
from collections.abc import Callable

import pytest
from forefill_service.engine.vllm.vitals import IDLE_SECONDS, SILENT_SECONDS, STOPPED_SECONDS, ProcessState
from forefill_service.engine.vllm.watch import LOOK_SECONDS, watch
from forefill_service.errors import EngineDied


class Vllm:
    """Answers questions until `hangs_at`, by the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.errored = False
        self.fails: Exception | None = None
        self.asked = self.waiting = 0
        self.hangs_at = float("inf")
        self.ends_at = float("inf")

    async def is_sleeping(self) -> bool:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        if self.now >= self.hangs_at:
            self.waiting += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.waiting -= 1
        return False

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)  # a question that was asked is on its way
        self.now += seconds
        if self.now >= self.ends_at:
            raise asyncio.CancelledError


class Processes:
    """As they are at each time by the clock of `vllm`."""

    def __init__(self, at: Callable[[], ProcessState], *, work_shows: bool = True) -> None:
        self.work_shows = work_shows
        self.closely: list[bool] = []
        self._at = at

    def look(self, *, closely: bool) -> tuple[ProcessState, ...]:
        self.closely.append(closely)
        return (self._at(),)


async def lost(vllm: Vllm, processes: Processes) -> EngineDied:
    with pytest.raises(EngineDied) as died:
        await watch(vllm, processes, sleep=vllm.sleep, clock=lambda: vllm.now)
    assert vllm.waiting == 0, "no question is left behind"
    return died.value


async def test_one_that_answers_is_asked_at_every_look_and_not_looked_at_closely() -> None:
    vllm = Vllm()
    vllm.ends_at = 100 * LOOK_SECONDS
    processes = Processes(lambda: ProcessState(1, 0.0))
    with pytest.raises(asyncio.CancelledError):
        await watch(vllm, processes, sleep=vllm.sleep, clock=lambda: vllm.now)
    assert vllm.asked == 100
    assert not any(processes.closely)


async def test_one_that_hangs_idly_is_lost_within_10_seconds() -> None:
    vllm = Vllm()
    vllm.hangs_at = 20.5
    processes = Processes(lambda: ProcessState(1, 0.0))
    died = await lost(vllm, processes)
    assert "did nothing" in str(died)
    assert vllm.hangs_at + IDLE_SECONDS < vllm.now < vllm.hangs_at + 10
    assert any(processes.closely)


async def test_one_that_is_stopped_is_lost_within_10_seconds() -> None:
    vllm = Vllm()
    died = await lost(vllm, Processes(lambda: ProcessState(1, 0.0, stopped=vllm.now >= 20.5)))
    assert "stopped" in str(died)
    assert 20.5 + STOPPED_SECONDS <= vllm.now + LOOK_SECONDS < 20.5 + 10


async def test_a_long_step_is_waited_for() -> None:
    vllm = Vllm()
    vllm.hangs_at = 20.5
    await lost(vllm, Processes(lambda: ProcessState(1, cpu_seconds=vllm.now)))
    assert vllm.now > 20.5 + SILENT_SECONDS


async def test_a_question_that_fails_says_that_it_has_died() -> None:
    vllm = Vllm()
    vllm.fails = RuntimeError("EngineCore encountered an issue")
    died = await lost(vllm, Processes(lambda: ProcessState(1, 0.0)))
    assert str(died) == "vLLM's engine process has died"
    assert died.__cause__ is vllm.fails


async def test_one_that_dies_while_a_question_is_open_is_lost_at_the_next_look() -> None:
    vllm = Vllm()
    vllm.hangs_at = 0.0
    processes = Processes(lambda: ProcessState(1, cpu_seconds=vllm.now))

    async def dies(seconds: float) -> None:
        await vllm.sleep(seconds)
        vllm.errored = vllm.now >= 3

    with pytest.raises(EngineDied, match="has died"):
        await watch(vllm, processes, sleep=dies, clock=lambda: vllm.now)
    assert vllm.now == 3
