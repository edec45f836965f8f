"""Time that jumps: code that waits runs unchanged, and nobody waits."""

import asyncio

import pytest
from forefill_bench.sim.virtual_time import run_at_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


def test_it_begins_at_zero_and_sleeps_take_exactly_their_seconds() -> None:
    async def work() -> list[float]:
        times = [now()]
        for seconds in (3600.0, 0.25, 0.0):
            await asyncio.sleep(seconds)
            times.append(now())
        return times

    assert run_at_virtual_time(work()) == pytest.approx([0.0, 3600.0, 3600.25, 3600.25])


def test_tasks_take_turns_by_their_instants() -> None:
    told: list[tuple[str, float]] = []

    async def every(name: str, seconds: float, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(seconds)
            told.append((name, now()))

    async def work() -> None:
        await asyncio.gather(every("a", 2.0, times=3), every("b", 3.5, times=2))

    run_at_virtual_time(work())
    assert [name for name, _ in told] == ["a", "b", "a", "a", "b"]
    assert [at for _, at in told] == pytest.approx([2.0, 3.5, 4.0, 6.0, 7.0])


def test_timeouts_come_in_time() -> None:
    async def work() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10.0):
                await asyncio.Event().wait()
        return now()

    assert run_at_virtual_time(work()) == pytest.approx(10.0)


def test_what_would_wait_for_ever_is_an_error() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="never comes"):
        run_at_virtual_time(work())


def test_what_is_raised_comes_out() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_at_virtual_time(work())
