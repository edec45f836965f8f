"""The engines inside an embedded vLLM with data parallelism: each has a cache and a scheduler of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..base import RANK_HEADER
from .chat_endpoint import RENDER_SECONDS, VllmChatEndpoint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ...cache.blocks import CacheChange
    from ...chat.generation import Output, Sampling
    from ...chat.template import HfChat
    from ...settings import Settings
    from ..base import EngineInfo, EngineLoad, Request
    from .rendering import VllmRendering


class Whole(Protocol):
    """All ranks together: the embedded engine."""

    name: str
    info: EngineInfo
    chat: HfChat
    rendering: VllmRendering

    @property
    def up(self) -> bool:
        """Whether requests may be sent to it now."""

    def load_of(self, rank: int) -> EngineLoad:
        """Return the load that one rank's scheduler reported with its last step."""

    def generate(self, request: Request, rank: int) -> AsyncGenerator[Output, None]:
        """Run one request on one rank."""

    async def check(self, sampling: Sampling, adapter: str) -> str:
        """Find out whether it can answer like this."""

    async def validate(self, sampling: Sampling) -> None:
        """Have vLLM say what it thinks of a sampling."""

    async def openai_app(self, settings: Settings) -> Any:
        """Return an ASGI application that serves its OpenAI API."""

    async def watch(self) -> None:
        """Find out until cancelled whether it has died."""

    async def close(self) -> None:
        """Stop it; a second call does nothing."""


class EmbeddedRank:
    """An `Engine`: one rank of an embedded vLLM, named as the ranks of a server are, so that both are placed alike."""

    def __init__(self, whole: Whole, rank: int) -> None:
        self.name = f"{whole.name}#{rank}"
        self.info = whole.info
        self.chat = whole.chat
        self.chat_endpoint = VllmChatEndpoint(whole.rendering, self.generate, RENDER_SECONDS, whole.validate)
        self._whole = whole
        self._rank = rank

    @property
    def load(self) -> EngineLoad:
        """The load that the rank's scheduler reported with its last step."""
        return self._whole.load_of(self._rank)

    @property
    def up(self) -> bool:
        """Whether all of vLLM is up: it is lost as a whole."""
        return self._whole.up

    async def check(self, sampling: Sampling, adapter: str) -> str:
        """Have vLLM check it: all ranks are alike."""
        return await self._whole.check(sampling, adapter)

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request on this rank."""
        outputs = self._whole.generate(request, self._rank)
        try:
            async for output in outputs:
                yield output
        finally:
            await outputs.aclose()

    def openai_headers(self, route: str) -> dict[str, str]:
        """Return what names this rank."""
        return {RANK_HEADER: str(self._rank)}

    async def openai_app(self, settings: Settings) -> Any:
        """Return an ASGI application that serves the OpenAI API of all ranks."""
        return await self._whole.openai_app(settings)

    async def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Report no changes: with several ranks vLLM's KV events are off."""
        return
        yield

    async def watch(self) -> None:
        """Watch all of vLLM."""
        await self._whole.watch()

    async def close(self) -> None:
        """Stop all of vLLM; a second call does nothing."""
        await self._whole.close()
