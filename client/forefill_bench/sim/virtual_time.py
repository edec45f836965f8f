"""An event loop whose time jumps to whatever comes next instead of going by.

Code that waits by `asyncio.sleep`, timeouts and `loop.call_later`, and reads the time by `loop.time`, runs on it
unchanged: an hour of waiting takes as long as what is done in it.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: where no file is ready, its time is at once what it was asked to wait until."""

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
