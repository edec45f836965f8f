"""The work of a fake engine, held for a test whose other side is a real socket."""

import asyncio


class Work:
    """Pass it as the engine's `sleep`; `held` makes its work wait.

    `waits` is set when some work does, and `cancelled` when it was cancelled meanwhile.
    """

    def __init__(self) -> None:
        self.held = False
        self.waits = asyncio.Event()
        self.cancelled = asyncio.Event()
        self._goes_on = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        if not self.held:
            return
        self.waits.set()
        try:
            await self._goes_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def go_on(self) -> None:
        """Hold nothing any more."""
        self.held = False
        self._goes_on.set()
