"""The threads that make prompts: what is stuck is given up, and never holds up the others."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from forefill_service.errors import Reason, Refusal
from forefill_service.fleet.fair_queue import NOBODYS, Line
from forefill_service.fleet.render_pool import SLOW_TICKS, RenderPool

from tests.support.stage import Gate, settle

GIVE_UP_TICKS = 5
SECONDS_TO_GIVE_UP = 30
"""None of these tests takes long; one that hangs fails."""


class Stuck:
    """Jobs that wait for the test, in C code, where no exception reaches them."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.released = threading.Event()

    def __call__(self) -> str:
        self.begun.release()
        self.released.wait()
        return "late"

    async def have_begun(self, jobs: int) -> None:
        for _ in range(jobs):
            assert await asyncio.to_thread(self.begun.acquire, timeout=SECONDS_TO_GIVE_UP)


class Loop:
    """A job that never ends, in Python code, as in a template's; `stopped` after it was made to end."""

    def __init__(self) -> None:
        self.begun, self.stopped = threading.Event(), threading.Event()

    def __call__(self) -> None:
        try:
            while True:
                self.begun.set()
        finally:
            self.stopped.set()


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    jobs = Stuck()
    yield jobs
    jobs.released.set()


class Watched:
    """A pool whose time passes tick by tick, as the test says."""

    def __init__(self, places: int, most_threads: int) -> None:
        self.gate = Gate()
        self.gate.held = True
        self.pool = RenderPool(self.gate, places=places, most_threads=most_threads, give_up_ticks=GIVE_UP_TICKS)
        self.watch = asyncio.create_task(self.pool.watch())

    def begin(self, function: Callable[[], object], line: Line = NOBODYS) -> "asyncio.Task[object]":
        return asyncio.create_task(self.pool.render(function, line=line))

    async def ticks(self, times: int) -> None:
        for _ in range(times):
            await settle()
            self.gate.step()
            await settle()


@asynccontextmanager
async def watched(*, places: int = 1, most_threads: int = 4) -> AsyncIterator[Watched]:
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        pool = Watched(places, most_threads)
        try:
            yield pool
        finally:
            pool.watch.cancel()
            pool.gate.open()
            await pool.pool.close()


async def refused(job: "asyncio.Task[object]") -> Reason:
    with pytest.raises(Refusal) as refusal:
        await job
    return refusal.value.reason


async def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread, which has no event of its own."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_a_job_returns_what_its_function_returns() -> None:
    async with watched() as it:
        assert await it.pool.render(lambda a, b: a + b, 1, 2) == 3


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), RecursionError(), Refusal(Reason.PROMPT_TOO_LONG)])
async def test_a_job_raises_what_its_function_raises(error: Exception) -> None:
    def fail() -> None:
        raise error

    async with watched() as it:
        with pytest.raises(type(error)) as raised:
            await it.pool.render(fail)
        assert raised.value is error
        assert await it.pool.render(lambda: 1) == 1


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, asyncio.CancelledError])
async def test_what_would_end_the_loop_or_a_task_becomes_an_error_of_its_caller(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    async with watched() as it:
        with pytest.raises(RuntimeError, match=error.__name__) as raised:
            await it.begin(fail)
        assert raised.traceback[-1].name == "fail"
        assert await it.pool.render(lambda: 1) == 1


async def test_jobs_beyond_the_places_wait_in_order(stuck: Stuck) -> None:
    done: list[int] = []
    async with watched() as it:
        first = it.begin(stuck)
        await stuck.have_begun(1)
        others = [it.begin(lambda number=number: done.append(number)) for number in range(3)]  # type: ignore[misc]
        await settle()
        assert it.pool.waiting == 3
        stuck.released.set()
        await asyncio.gather(first, *others)
        assert done == [0, 1, 2]
        assert it.pool.threads == 1


async def test_a_caller_waits_for_one_job_of_another_however_many_that_one_has(stuck: Stuck) -> None:
    done: list[str] = []
    async with watched() as it:
        first = it.begin(stuck, Line("anna", "0"))
        await stuck.have_begun(1)
        annas = [it.begin(lambda: done.append("anna"), Line("anna", str(session))) for session in range(1, 5)]
        await settle()
        bens = it.begin(lambda: done.append("ben"), Line("ben"))
        await settle()
        stuck.released.set()
        await asyncio.gather(first, *annas, bens)
        assert done.index("ben") <= 1


async def test_a_session_has_one_job_running_at_once(stuck: Stuck) -> None:
    async with watched(places=2) as it:
        first, second = it.begin(stuck, Line("anna", "1")), it.begin(lambda: "later", Line("anna", "1"))
        await stuck.have_begun(1)
        assert await it.pool.render(lambda: "healthy", line=Line("anna", "2")) == "healthy"
        assert it.pool.waiting == 1
        stuck.released.set()
        assert (await first, await second) == ("late", "later")


async def test_a_job_that_is_given_up_lets_the_next_of_its_session_run(stuck: Stuck) -> None:
    async with watched() as it:
        job, another = it.begin(stuck, Line("anna", "1")), it.begin(lambda: "healthy", Line("anna", "1"))
        await stuck.have_begun(1)
        await it.ticks(GIVE_UP_TICKS)
        assert await refused(job) is Reason.TEMPLATE_REFUSED
        assert await another == "healthy"


async def test_a_slow_job_goes_on_and_leaves_its_place_to_others(stuck: Stuck) -> None:
    async with watched() as it:
        slow, healthy = it.begin(stuck), it.begin(lambda: "healthy")
        await stuck.have_begun(1)
        await it.ticks(SLOW_TICKS - 1)
        assert it.pool.waiting == 1
        await it.ticks(1)
        assert await healthy == "healthy"
        stuck.released.set()
        assert await slow == "late"


async def test_a_job_that_takes_too_long_is_given_up_and_its_thread_is_replaced(stuck: Stuck) -> None:
    async with watched() as it:
        job = it.begin(stuck)
        await stuck.have_begun(1)
        await it.ticks(GIVE_UP_TICKS - 1)
        assert not job.done()
        await it.ticks(1)
        assert await refused(job) is Reason.TEMPLATE_REFUSED
        assert await it.pool.render(lambda: "healthy") == "healthy"
        assert it.pool.threads == 2
        stuck.released.set()
        await until(lambda: it.pool.threads == 1)


async def test_a_loop_is_made_to_end_and_its_thread_with_it() -> None:
    async with watched() as it:
        for _ in range(20):
            loop = Loop()
            job = it.begin(loop)
            await asyncio.to_thread(loop.begun.wait)
            await it.ticks(GIVE_UP_TICKS)
            assert await refused(job) is Reason.TEMPLATE_REFUSED
            await asyncio.to_thread(loop.stopped.wait)
            await until(lambda: it.pool.threads == 0)
        assert await it.pool.render(lambda: "healthy") == "healthy"


async def test_a_stop_that_comes_as_the_job_ends_stops_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    async with watched() as it:
        for _ in range(100):
            ends = threading.Event()
            job = it.begin(ends.wait)
            await it.ticks(GIVE_UP_TICKS - 1)
            ends.set()
            await it.ticks(1)
            with suppress(Refusal):  # one or the other came first
                assert await job
        assert await it.pool.render(lambda: "healthy") == "healthy"
        await until(lambda: it.pool.threads == 1)
    assert failures == []


async def test_the_number_of_threads_is_bounded_and_new_jobs_are_refused_beyond_it(stuck: Stuck) -> None:
    async with watched(places=1, most_threads=3) as it:
        jobs = [it.begin(stuck) for _ in range(5)]
        for _ in range(3):
            await stuck.have_begun(1)  # a thread that is given up before would never begin
            await it.ticks(SLOW_TICKS)
        await it.ticks(5 * GIVE_UP_TICKS)
        reasons = [await refused(job) for job in jobs]
        assert reasons == [Reason.TEMPLATE_REFUSED] * 3 + [Reason.TOO_MANY_SESSIONS] * 2
        assert it.pool.threads == 3
        assert await refused(it.begin(lambda: "healthy")) is Reason.TOO_MANY_SESSIONS
        stuck.released.set()
        await until(lambda: it.pool.threads == 0)
        assert await it.pool.render(lambda: "healthy") == "healthy"


async def test_a_machine_without_more_threads_makes_jobs_wait_or_fails_them_alone(
    stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    start = threading.Thread.start
    async with watched(places=2) as it:
        monkeypatch.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError):
            await it.pool.render(lambda: "none")
        assert it.pool.waiting == 0
        monkeypatch.setattr(threading.Thread, "start", start)
        first = it.begin(stuck)
        await stuck.have_begun(1)
        monkeypatch.setattr(threading.Thread, "start", no_more)
        second = it.begin(lambda: "later")
        await settle()
        assert it.pool.waiting == 1
        stuck.released.set()
        assert (await first, await second) == ("late", "later")
        monkeypatch.setattr(threading.Thread, "start", start)


async def test_slow_jobs_that_hold_all_threads_are_waited_for(stuck: Stuck) -> None:
    async with watched(places=1, most_threads=2) as it:
        slow = [it.begin(stuck) for _ in range(2)]
        await it.ticks(2 * SLOW_TICKS - 1)
        await stuck.have_begun(2)
        healthy = it.begin(lambda: "healthy")
        await settle()
        assert it.pool.waiting == 1
        stuck.released.set()
        assert await asyncio.gather(*slow, healthy) == ["late", "late", "healthy"]


async def test_a_caller_that_is_cancelled_leaves_no_job_in_the_queue(stuck: Stuck) -> None:
    async with watched() as it:
        it.begin(stuck)
        await stuck.have_begun(1)
        begun: list[bool] = []
        job = it.begin(lambda: begun.append(True))
        await settle()
        job.cancel()
        await settle()
        assert it.pool.waiting == 0
        stuck.released.set()
        await it.pool.render(lambda: "healthy")
        assert begun == []


async def test_a_slow_job_whose_caller_has_gone_is_made_to_end() -> None:
    async with watched() as it:
        loop = Loop()
        job = it.begin(loop)
        await asyncio.to_thread(loop.begun.wait)
        job.cancel()
        await it.ticks(SLOW_TICKS)
        await asyncio.to_thread(loop.stopped.wait)
        await until(lambda: it.pool.threads == 0)


async def test_a_quick_job_whose_caller_has_gone_keeps_its_thread(stuck: Stuck) -> None:
    async with watched() as it:
        job = it.begin(stuck)
        await stuck.have_begun(1)
        job.cancel()
        await settle()
        stuck.released.set()
        assert await it.pool.render(lambda: "healthy") == "healthy"
        assert it.pool.threads == 1


async def test_threads_beyond_the_places_end_when_their_jobs_do(stuck: Stuck) -> None:
    async with watched(places=1, most_threads=4) as it:
        slow = [it.begin(stuck) for _ in range(3)]
        await it.ticks(2 * SLOW_TICKS)
        await stuck.have_begun(3)
        assert it.pool.threads == 3
        stuck.released.set()
        await asyncio.gather(*slow)
        await until(lambda: it.pool.threads == 1)


async def test_the_end_waits_for_threads_but_not_for_one_that_is_stuck(stuck: Stuck) -> None:
    async with watched() as it:
        job = it.begin(stuck)
        await stuck.have_begun(1)
        closing = asyncio.create_task(it.pool.close())
        await settle()
        assert not closing.done()
        it.watch.cancel()
        it.gate.open()
        await closing
        assert it.pool.threads == 1
        assert job.cancelled()


async def test_an_idle_thread_holds_nothing_of_its_last_job() -> None:
    class Prompt:
        pass

    import gc
    import weakref

    async with watched() as it:
        prompt = Prompt()
        gone = weakref.ref(prompt)
        assert await it.pool.render(lambda p: p, prompt) is prompt
        await it.pool.render(lambda: None)
        del prompt
        gc.collect()
        assert gone() is None


async def test_an_error_of_a_job_does_not_hold_what_it_was_given() -> None:
    class Prompt:
        pass

    import gc
    import weakref

    def fail(prompt: Prompt) -> None:
        del prompt
        raise Refusal(Reason.PROMPT_TOO_LONG)

    async with watched() as it:
        prompt = Prompt()
        gone = weakref.ref(prompt)
        gc.disable()
        try:
            with pytest.raises(Refusal) as raised:
                await it.pool.render(fail, prompt)
            del prompt
            await it.pool.render(lambda: None)
            assert gone() is None, "the error is still there"
            assert raised.value.reason is Reason.PROMPT_TOO_LONG
        finally:
            gc.enable()
