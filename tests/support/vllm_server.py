"""Real vLLM servers and the real router, as processes on free loopback ports; each is ended by its id."""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from forefill_service.engine.http.vllm_metrics import MetricsSnapshot, parse_metrics
from forefill_service.engine.packaged_model import PACKAGED_MODEL_NAME, packaged_model_path
from forefill_service.engine.vllm.start import packaged_model_defaults

START_SECONDS = 150
CACHE_BYTES = 2**30
ENVIRONMENT = {"VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}
CPUS = itertools.cycle(sorted(os.sched_getaffinity(0)))
"""A processor for each server in turn: by default vLLM binds all of them to the same one, where they starve."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class HttpProcess:
    """One process, with all its children, that serves HTTP on a port of its own."""

    def __init__(self, command: Sequence[str], port: int, ready_path: str, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._environment = {**ENVIRONMENT, **environment}
        self._ready_path = ready_path
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        with tempfile.TemporaryFile() as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env={**os.environ, **self._environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(START_SECONDS):
                    await self._answering(self._process)
            except (TimeoutError, AssertionError) as error:
                log.seek(0)
                said = log.read().decode(errors="replace")[-3000:]
                raise AssertionError(f"{self._command[0]} does not come up ({error}); it said: {said}") from None

    async def _answering(self, process: asyncio.subprocess.Process) -> None:
        limit = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=limit) as http:
            while process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(self.url + self._ready_path) as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.2)
        raise AssertionError(f"it ended with {process.returncode}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and all its children."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    async def kill(self) -> None:
        """Kill it at once, as a power failure would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
            self._process = None

    async def metrics(self) -> MetricsSnapshot:
        """Return its metrics as of now."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/metrics") as response:
            return parse_metrics(await response.text())


def vllm_server(*more: str, plain: bool = False) -> HttpProcess:
    """Make a vLLM server of the packaged model; with `plain`, without the flags that forefill recommends."""
    port = free_port()
    flags = [
        f"--{name.replace('_', '-')}={value}" for name, value in packaged_model_defaults().items() if value is not True
    ]
    wishes = () if plain else ("--scheduling-policy=priority", "--enable-prompt-tokens-details", "--enable-scale-out")
    command = (
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host=127.0.0.1", f"--port={port}"),
        *(f"--model={packaged_model_path()}", f"--served-model-name={PACKAGED_MODEL_NAME}"),
        *("--enforce-eager", f"--kv-cache-memory-bytes={CACHE_BYTES}", "--disable-uvicorn-access-log"),
        *(*flags, *wishes, *more),
    )
    return HttpProcess(command, port, "/health", VLLM_CPU_OMP_THREADS_BIND=str(next(CPUS)))


def router(*workers: str, policy: str = "consistent_hash") -> HttpProcess:
    """Make a vllm-router in front of these servers, configured as our documents recommend."""
    port = free_port()
    command = (
        router_program() or "vllm-router",
        *("--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(free_port())),
        *("--policy", policy, "--health-check-interval-secs", "1", "--health-failure-threshold", "2"),
        *("--disable-retries", "--worker-urls", *workers),
    )
    return HttpProcess(command, port, "/v1/models")


def router_program() -> str | None:
    """Return the path of vllm-router; None if it is not installed."""
    beside = Path(sys.executable).with_name("vllm-router")
    return str(beside) if beside.exists() else shutil.which("vllm-router")


@asynccontextmanager
async def running(*processes: HttpProcess) -> AsyncIterator[None]:
    """Run processes within the block, and end them after it, whatever their state."""
    try:
        for process in processes:  # one after the other: their start is work for all processors
            await process.start()
        yield
    finally:
        await asyncio.gather(*(process.kill() for process in processes))
