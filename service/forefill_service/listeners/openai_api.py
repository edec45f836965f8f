"""vLLM's own OpenAI API on an embedded engine, on a port of its own, for those who may open streams and hand off."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..access.caller import Permission
from ..access.certificate import ServerCertificate
from ..access.gate import Gate
from ..engine import Engine
from ..engine.vllm import EmbeddedEngine
from ..engine.vllm.rank import EmbeddedRank
from ..errors import EngineStartError
from ..settings import Settings
from .address import address_of, listen
from .http_gate import HttpGate
from .openai_port import Stopping, openai_port


@dataclass(frozen=True, slots=True)
class OpenAiApi:
    """The OpenAI API of an embedded engine: its address, "" if it is not served; and how it is stopped."""

    address: str = ""
    stopping: Stopping = Stopping(lambda: None, lambda: None)


@asynccontextmanager
async def openai_api(engines: Sequence[Engine], settings: Settings, gate: Gate) -> AsyncIterator[OpenAiApi]:
    """Serve the OpenAI API of an embedded engine for the duration of the block, if that is asked for.

    It speaks TLS if streams do, and lets in the same callers. Raises ListenError, EngineStartError, SettingsFileError.
    """
    if settings.hand_off.openai_port < 0:
        yield OpenAiApi()
        return
    check_vllm_key(settings, gate)
    if not isinstance(engine := engines[0], EmbeddedEngine | EmbeddedRank):
        raise EngineStartError("--openai-port needs --engine embedded")
    listener = listen(settings.server.host, settings.hand_off.openai_port, "--openai-port", " for the OpenAI API")
    with listener:
        app = HttpGate(await engine.openai_app(settings), gate, Permission.HAND_OFF)
        certificate = ServerCertificate.of(settings.access)
        tls = None if certificate is None else certificate.context()
        address = address_of(settings.server.host, listener.getsockname()[1])
        async with openai_port(app, listener, settings.server.stop_grace_seconds, tls) as stopping:
            yield OpenAiApi(address, stopping)


def check_vllm_key(settings: Settings, gate: Gate) -> None:
    """Raise EngineStartError if vLLM would ask for a key of its own beside the credentials of callers."""
    vllm_key = os.environ.get("VLLM_API_KEY") or settings.hand_off.openai_args.get("api_key")
    if settings.hand_off.openai_port >= 0 and gate.knows_callers and vllm_key:
        raise EngineStartError(
            "--openai-port asks for what streams ask for; unset VLLM_API_KEY, and take api_key out of --openai-args"
        )
