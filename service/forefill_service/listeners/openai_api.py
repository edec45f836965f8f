"""vLLM's own OpenAI API on an embedded engine, on a port of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..engine import Engine
from ..engine.vllm import EmbeddedEngine
from ..engine.vllm.openai_port import Stopping, openai_port
from ..engine.vllm.rank import EmbeddedRank
from ..errors import EngineStartError
from ..settings import Settings
from .address import address_of, listen


@dataclass(frozen=True, slots=True)
class OpenAiApi:
    """The OpenAI API of an embedded engine: its address, "" if it is not served; and how it is stopped."""

    address: str = ""
    stopping: Stopping = Stopping(lambda: None, lambda: None)


@asynccontextmanager
async def openai_api(engines: Sequence[Engine], settings: Settings) -> AsyncIterator[OpenAiApi]:
    """Serve the OpenAI API of an embedded engine for the duration of the block, if that is asked for."""
    if settings.hand_off.openai_port < 0:
        yield OpenAiApi()
        return
    if not isinstance(engine := engines[0], EmbeddedEngine | EmbeddedRank):
        raise EngineStartError("--openai-port needs --engine embedded")
    listener = listen(settings.server.host, settings.hand_off.openai_port, "--openai-port", " for the OpenAI API")
    with listener:
        app = await engine.openai_app(settings)
        address = address_of(settings.server.host, listener.getsockname()[1])
        async with openai_port(app, listener, settings.server.stop_grace_seconds) as stopping:
            yield OpenAiApi(address, stopping)
