"""An engine that passes all on to another one: the base of those that look on."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from forefill_service.cache.blocks import CacheChange
from forefill_service.chat.generation import Sampling
from forefill_service.chat.prompt import Chat
from forefill_service.engine import ChatEndpoint, Engine, EngineInfo, EngineLoad, Output, Request


class EngineAround:
    """An `Engine` around another one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

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
        async with aclosing(self._engine.generate(request)) as outputs:
            async for output in outputs:
                yield output

    async def watch(self) -> None:
        await self._engine.watch()

    async def close(self) -> None:
        await self._engine.close()
