"""An event loop at virtual time, which jumps to the next event instead of passing. It needs the standard library alone.

Code that waits by `asyncio.sleep`, timeouts and `loop.call_later`, and reads the time by `loop.time`, runs on it
unchanged: an hour of waiting takes only as long as the work in it.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: if no file is ready, its time jumps to the end of the wait that was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits for something that never comes")
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop at virtual time, which begins at 0 seconds."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._jumping.now


def run_at_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a `VirtualTimeLoop` of its own; no other loop may run in this thread."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
