"""The threads that make prompts: off the event loop, for a bounded time each, and never more than a set number of them.

A chat template is a program that runs on what a client sent, so it may never end, and only time shows it: `watch`
counts the ticks that each job has been running.

    a job has been running for                what becomes of it
    less than SLOW_TICKS                      it has one of the `places`
    SLOW_TICKS or more                        it goes on, and its place is free for others, on one more thread
    the same, and its caller has gone         it is given up
    `give_up_ticks`                           it is given up, and its caller is refused

To give up a job is to ask its thread to stop, by an exception that ends any loop of Python code, Jinja's too. The
thread counts until it has ended. If every thread is one that should have ended, new jobs are refused.

Whose job is next is up to `FairQueue`. Neither an idle thread nor a job that has ended holds anything of what it was
given: that was typed by somebody, whose session may be over.
"""

import asyncio
import ctypes
import logging
import os
import queue
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from ..errors import Reason, Refusal
from .fair_queue import NOBODYS, FairQueue, Line

log = logging.getLogger(__name__)

PLACES = min(4, os.cpu_count() or 1)
MOST_THREADS = PLACES + 8
TICK_SECONDS = 0.25
SLOW_TICKS = 2
GIVE_UP_TICKS = 120
"""30 s, vLLM's own limit. The prompts of 100,000 tokens take about a second on one slow core."""
CLOSE_SECONDS = 1.0
"""How long `close` waits for threads; one that does not end by then ends with the process."""


class _Stop(BaseException):
    """Raised in a thread whose job is given up; no template and no `except Exception` catches it."""


class _Job:
    """A function to call, and the future of what it returns."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], line: Line) -> None:
        self.function = function
        self.args = args
        self.line = line
        self.ticks = 0
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @property
    def slow(self) -> bool:
        return self.ticks >= SLOW_TICKS


class _Worker:
    """A thread that does one job after the other; it reports each, and then its own end, on the event loop."""

    def __init__(
        self, done: Callable[["_Worker", Any, BaseException | None], None], ended: Callable[["_Worker"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._done, self._ended = done, ended
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="forefill-render", daemon=True)
        self._thread.start()

    def give(self, job: _Job | None) -> None:
        """Have the next job done; None ends the thread."""
        self._jobs.put(job)

    def stop(self) -> None:
        """Raise `_Stop` in the job that runs, as soon as that runs Python code, and end the thread after it."""
        ident, exception = ctypes.c_ulong(self._thread.ident or 0), ctypes.py_object(_Stop)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, exception)
        self.give(None)

    def _run(self) -> None:
        with suppress(_Stop):  # it may be raised anywhere below, also just after the end of the job
            self._work()
        self._report(self._ended)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            outcome: tuple[Any, BaseException | None]
            try:
                outcome = job.function(*job.args), None
            except BaseException as error:  # what a job raises is its caller's, whatever it is
                outcome = None, error
            self._report(self._done, *outcome)
            del job, outcome  # an idle thread must not hold what was typed

    def _report(self, to: Callable[..., None], *what: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(to, self, *what)


class RenderPool:
    """Runs what makes prompts. `watch` must run beside it, and `close` ends it.

    A thread that is given up and goes on running is replaced, so there may be `most_threads` of them.
    """

    def __init__(
        self,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
        *,
        places: int = PLACES,
        most_threads: int = MOST_THREADS,
        give_up_ticks: int = GIVE_UP_TICKS,
    ) -> None:
        self._sleep = sleep
        self._places, self._most_threads, self._give_up_ticks = places, most_threads, give_up_ticks
        self._waiting: FairQueue[_Job] = FairQueue(max(places, most_threads // 2), places)
        self._running: dict[_Worker, _Job] = {}
        self._idle: list[_Worker] = []
        self._given_up: set[_Worker] = set()
        self._some_run, self._all_ended = asyncio.Event(), asyncio.Event()

    @property
    def threads(self) -> int:
        """The number of threads, including those that were given up and have not ended."""
        return len(self._running) + len(self._idle) + len(self._given_up)

    @property
    def waiting(self) -> int:
        """The number of jobs that no thread has begun."""
        return len(self._waiting)

    async def render(self, function: Callable[..., Any], *args: Any, line: Line = NOBODYS) -> Any:
        """Return what the function returns, or raise what it raises.

        Raises Refusal: TEMPLATE_REFUSED if that takes too long, TOO_MANY_SESSIONS if no thread is left to do it.
        """
        if self._all_stuck:
            raise _no_thread_left()
        job = _Job(function, args, line)
        self._waiting.put(line, job)
        try:
            self._begin()
            return await job.result
        finally:
            self._waiting.discard(line, job)
            del job, function, args  # an error that is raised here would hold them, by its traceback

    async def watch(self) -> None:
        """Give up what takes too long, until cancelled."""
        while True:
            await self._some_run.wait()
            await self._sleep(TICK_SECONDS)
            self._tick()

    async def close(self) -> None:
        """End all threads; do not wait long for one that is stuck."""
        for job in self._waiting.clear():
            job.result.cancel()
        for worker, job in list(self._running.items()):
            job.result.cancel()
            self._give_up(worker)
        for worker in self._idle:
            worker.give(None)
        self._given_up.update(self._idle)
        self._idle.clear()
        if self._given_up:
            await self._wait_for_the_threads()

    @property
    def _all_stuck(self) -> bool:
        return len(self._given_up) >= self._most_threads

    def _begin(self) -> None:
        """Begin the jobs that wait, as far as there are places and threads."""
        while self._waiting.ready and sum(not job.slow for job in self._running.values()) < self._places:
            worker = self._worker()
            if worker is None:
                return
            job = self._waiting.take()
            self._running[worker] = job
            self._some_run.set()
            worker.give(job)

    def _keep(self, worker: _Worker) -> None:
        """Have a worker wait for the next job; end it if enough wait."""
        if len(self._idle) < self._places:
            self._idle.append(worker)
        else:
            self._given_up.add(worker)
            worker.give(None)

    def _worker(self) -> _Worker | None:
        if self._idle:
            return self._idle.pop()
        if self.threads >= self._most_threads:
            return None
        try:
            return _Worker(self._done, self._ended)
        except RuntimeError:  # the machine has no more threads: one of ours will be free
            if not self.threads:
                raise
            return None

    def _tick(self) -> None:
        for worker, job in list(self._running.items()):
            job.ticks += 1
            if job.ticks == SLOW_TICKS:
                self._waiting.slowed(job.line)
            if job.ticks >= self._give_up_ticks or (job.slow and job.result.done()):
                self._give_up(worker)
        self._begin()

    def _give_up(self, worker: _Worker) -> None:
        job = self._forget(worker)
        self._given_up.add(worker)
        worker.stop()
        if not job.result.done():
            seconds = self._give_up_ticks * TICK_SECONDS
            log.warning("a prompt was given up after %g s", seconds)
            job.result.set_exception(Refusal(Reason.TEMPLATE_REFUSED, f"it takes more than {seconds:g} s"))
        if self._all_stuck:
            log.error("every thread that renders prompts is stuck; start the server again")
            for waiting in self._waiting.clear():
                waiting.result.set_exception(_no_thread_left())

    def _done(self, worker: _Worker, result: Any, error: BaseException | None) -> None:
        if worker in self._given_up:
            return
        job = self._forget(worker)
        self._keep(worker)
        if job.result.done():  # its caller has gone
            pass
        elif error is not None:
            job.result.set_exception(_fit_for_a_task(error))
        else:
            job.result.set_result(result)
        self._begin()

    def _forget(self, worker: _Worker) -> _Job:
        job = self._running.pop(worker)
        self._waiting.ended(job.line, slow=job.slow)
        if not self._running:
            self._some_run.clear()
        return job

    def _ended(self, worker: _Worker) -> None:
        self._given_up.discard(worker)
        if not self.threads:
            self._all_ended.set()
        self._begin()

    async def _wait_for_the_threads(self) -> None:
        self._all_ended.clear()
        waits = [asyncio.ensure_future(self._all_ended.wait()), asyncio.ensure_future(self._sleep(CLOSE_SECONDS))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _fit_for_a_task(error: BaseException) -> Exception:
    """Return an error that a task may raise: SystemExit would end the event loop, and StopIteration a generator."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(type(error).__name__).with_traceback(error.__traceback__)


def _no_thread_left() -> Refusal:
    return Refusal(Reason.TOO_MANY_SESSIONS, "all its threads for chat templates are stuck")
