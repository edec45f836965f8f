"""An event loop in a thread of its own, for callers that do not run in it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, Final, TypeVar

T = TypeVar("T")
JOIN_SECONDS: Final = 5.0


class Portal:
    """An event loop in a thread of its own, for calls from any other thread.

    `stopped` makes the error of a call that comes too late, or that still waits at the end.
    """

    def __init__(self, name: str, stopped: Callable[[], Exception]) -> None:
        self._stopped_error = stopped
        self._stopped = False
        self._lock = threading.RLock()  # what is submitted before the end is known to the end
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine, and return or raise what it does; it is cancelled if the wait is interrupted.

        Raises RuntimeError in the loop's own thread, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError(
                "this is the thread that does the work, and it cannot wait for itself: call from another one"
            )
        with self._lock:
            if self._stopped:
                work.close()
                raise self._stopped_error()
            running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except BaseException as error:
            running.cancel()
            if self._stopped and isinstance(error, CancelledError):
                raise self._stopped_error() from None
            raise

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the loop's thread."""
        if threading.current_thread() is self._thread:
            return function()

        async def called() -> T:
            return function()

        return self.run(called())

    def stop(self) -> None:
        """Cancel what still runs, then end the loop and its thread; a second call does nothing."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        try:
            asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(JOIN_SECONDS)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(JOIN_SECONDS)
            if not self._thread.is_alive():
                self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
