"""An engine that records its requests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from forefill_service.cache.blocks import CacheChange
from forefill_service.chat.generation import Sampling
from forefill_service.chat.prompt import Chat
from forefill_service.engine import ChatEndpoint, Engine, EngineInfo, EngineLoad, Output, Priority, Request


class RecordingEngine:
    """Forwards all calls to another engine and keeps the requests, oldest first; `arrived` lets a test wait for one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.requests: list[Request] = []
        self.arrived: asyncio.Queue[Request] = asyncio.Queue()

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def up(self) -> bool:
        return self._engine.up

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def chat(self) -> Chat:
        return self._engine.chat

    @property
    def chat_endpoint(self) -> ChatEndpoint:
        return self._engine.chat_endpoint

    @property
    def load(self) -> EngineLoad:
        return self._engine.load

    def openai_headers(self, route: str) -> dict[str, str]:
        return self._engine.openai_headers(route)

    def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        return self._engine.cache_changes()

    async def check(self, sampling: Sampling, adapter: str) -> str:
        return await self._engine.check(sampling, adapter)

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        self.requests.append(request)
        self.arrived.put_nowait(request)
        async with aclosing(self._engine.generate(request)) as outputs:
            async for output in outputs:
                yield output

    async def watch(self) -> None:
        await self._engine.watch()

    async def close(self) -> None:
        await self._engine.close()

    @property
    def generations(self) -> list[Request]:
        """The requests of SUBMITs."""
        return [request for request in self.requests if request.priority is Priority.GENERATION]

    @property
    def warms(self) -> list[Request]:
        """The requests of warms."""
        return [request for request in self.requests if request.priority is Priority.WARM]
