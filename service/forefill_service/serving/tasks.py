"""The tasks of one session, and how a task is ended without cutting its clean-up short."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from ..errors import EngineDied, Reason, Refusal

T = TypeVar("T")


def cancel_once(task: asyncio.Task[Any]) -> None:
    """Cancel a task, unless it is being cancelled already: a second time would cut its clean-up short."""
    if not task.cancelling():
        task.cancel()


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end, even if the caller is cancelled meanwhile."""
    cancel_once(task)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})


class Interrupted(Exception):
    """Raised where a task waits, because another has asked it to stop."""


class Interruption:
    """Lets one task ask another to stop, which it does where it waits `here` and nowhere else."""

    def __init__(self) -> None:
        self.asked = False
        self._waiting: asyncio.Task[Any] | None = None

    def ask(self) -> None:
        """Ask the other task to stop: at once if it waits, else when it waits next."""
        if not self.asked and self._waiting is not None:
            self._waiting.cancel()
        self.asked = True

    @contextmanager
    def here(self) -> Iterator[None]:
        """Let what the block awaits be interrupted. Raises Interrupted."""
        if self.asked:
            raise Interrupted
        self._waiting = task = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            # As in asyncio.timeout: if the task is cancelled for another reason as well, that goes on.
            if self.asked and task is not None and task.uncancel() == 0:
                raise Interrupted from None
            raise
        finally:
            self._waiting = None


class Ahead(Generic[T]):
    """A generator that runs to its first item at once, before anybody asks for it."""

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items
        self._first = asyncio.create_task(self._next())

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield its items. Raises what it raises."""
        for item in await self._first:
            yield item
        async for item in self._items:
            yield item

    async def close(self) -> None:
        """End it, wherever it is."""
        await cancelled(self._first)
        if not self._first.cancelled():
            self._first.exception()  # nobody asks for it any more
        await self._items.aclose()

    async def _next(self) -> list[T]:
        async for item in self._items:
            return [item]
        return []


class SessionTasks:
    """The tasks of one session: all end with it, and the first cause of its end counts."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Future[Any]] = set()
        self._ended: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()

    @property
    def ended(self) -> bool:
        """Whether they end, or have ended: no more may be spawned."""
        return self._ended.done()

    async def run(self, first: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a first task and all that it spawns, until `end`.

        Raises the Refusal that ended them.
        """
        async with self._group:
            self.spawn(first)
            try:
                refusal = await self._ended
            finally:
                for task in self._running:
                    task.cancel()
        if refusal is not None:
            raise refusal

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run one more task; a Refusal from it, or the engine's death, ends them all."""

        async def guarded() -> None:
            try:
                await work()
            except Refusal as refusal:
                self.end(refusal)
            except EngineDied:
                self.end(Refusal(Reason.ENGINE_UNAVAILABLE))

        self.own(self._group.create_task(guarded()))

    def own(self, task: asyncio.Future[Any]) -> None:
        """Cancel a task, or a future, with the session."""
        self._running.add(task)
        task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Future[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():  # it keeps the error, and so its frames, until somebody asks for it
            with suppress(asyncio.CancelledError):
                task.exception()

    def end(self, refusal: Refusal | None) -> None:
        """End all of them, for this reason; None: in good order."""
        if not self._ended.done():
            self._ended.set_result(refusal)
