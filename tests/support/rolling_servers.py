"""Servers that come and go: one is in use, another is ready, and each can be replaced, or killed and started again."""

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from .forked_server import ForkedServer


@dataclass(eq=False, slots=True)
class _Place:
    """An address, and the server there."""

    server: ForkedServer
    address: str
    restart: asyncio.Task[None] | None = None


class RollingServers:
    """Two server processes with these flags, and those that take their places.

    Stops and restarts go on while the test does; `settled` waits for them. A server that reports an error fails there.
    """

    def __init__(self, *flags: str) -> None:
        self._flags = flags
        self._places: list[_Place] = []
        self._begun: list[asyncio.Task[None]] = []

    @property
    def address(self) -> str:
        """Where the server in use listens."""
        return self._places[0].address

    async def started(self) -> None:
        """Start those that are missing."""
        while len(self._places) < 2:
            self._places.append(await self._new_place())

    def go_over(self) -> None:
        """Use the other one."""
        self._places.reverse()

    async def replace(self) -> None:
        """Start a server, use it, and stop the one that was in use, as in a rolling update."""
        new = await self._new_place()
        old, self._places[0] = self._places[0], new
        self._begin(self._stop(old))

    def kill(self) -> None:
        """Kill the server in use, and start another at its address; nothing new if that is under way."""
        place = self._places[0]
        if place.restart is None or place.restart.done():
            place.server.kill()
            place.restart = self._begin(self._restart(place))

    async def settled(self) -> None:
        """Wait for the end of servers and for starts; raise AssertionError if one did not go well."""
        begun, self._begun = self._begun, []
        ends = await asyncio.gather(*begun, return_exceptions=True)
        for failure in filter(None, ends):
            for place in self._places:
                place.server.kill()
            self._places.clear()
            raise failure

    async def close(self) -> None:
        """Stop them all, and see how they end."""
        while self._places:
            self._begin(self._stop(self._places.pop()))
        await self.settled()

    async def _new_place(self) -> _Place:
        server = ForkedServer(*self._flags, "--port", "0")
        return _Place(server, await server.listening())

    async def _restart(self, place: _Place) -> None:
        await self._see_end(place, -signal.SIGKILL)
        place.server = ForkedServer(*self._flags, "--port", place.address.rpartition(":")[2])
        await place.server.listening()

    async def _stop(self, place: _Place) -> None:
        if place.restart is not None and not place.restart.done():
            await place.restart
        place.server.terminate()
        await self._see_end(place, 0)

    async def _see_end(self, place: _Place, status: int) -> None:
        ended = await place.server.ended()
        if ended != (status, ""):  # it runs at log level "error"
            raise AssertionError(f"the server at {place.address} ended with {ended[0]}, and said: {ended[1]}")

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._begun.append(task)
        return task
