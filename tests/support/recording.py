"""An engine that records its requests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from forefill_service.engine import Engine, Output, Priority, Request

from .engine_around import EngineAround


class RecordingEngine(EngineAround):
    """Keeps the requests, oldest first; `arrived` lets a test wait for one, and `ended` for its end."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.requests: list[Request] = []
        self.arrived: asyncio.Queue[Request] = asyncio.Queue()
        self.ended: asyncio.Queue[Request] = asyncio.Queue()

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        self.requests.append(request)
        self.arrived.put_nowait(request)
        try:
            async with aclosing(super().generate(request)) as outputs:
                async for output in outputs:
                    yield output
        finally:
            self.ended.put_nowait(request)

    def forget(self) -> None:
        """Keep none of the requests so far."""
        del self.requests[:]
        for queue in (self.arrived, self.ended):
            while not queue.empty():
                queue.get_nowait()

    @property
    def generations(self) -> list[Request]:
        """The requests of SUBMITs."""
        return [request for request in self.requests if request.priority is Priority.GENERATION]

    @property
    def warms(self) -> list[Request]:
        """The requests of warms."""
        return [request for request in self.requests if request.priority is Priority.WARM]
