"""A server of our own for the time of a block: forefill's, or another one that says when it listens."""

import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from .errors import ForefillError

LISTENING: Final = "forefill-server listening on "
START_TIMEOUT_SECONDS: Final = 180.0
STOP_TIMEOUT_SECONDS: Final = 15.0
"""How long a server may take to stop; one that does not listen yet has nothing to finish and gets less."""
STOP_EARLY_TIMEOUT_SECONDS: Final = 2.0
COMMAND: Final = (
    *(sys.executable, "-m", "forefill_service"),
    *("--port", "0", "--metrics-port", "-1", "--health-port", "-1"),
)


class ServerNotStarted(ForefillError):
    """Raised when a server of our own does not come up."""


Process = asyncio.subprocess.Process


async def read_listening_address(server: Process) -> str:
    """Return the address that a forefill-server prints once it listens, "" if it ends without one."""
    assert server.stdout is not None  # noqa: S101 (we asked for a pipe)
    while line := await server.stdout.readline():
        text = line.decode(errors="replace").strip()
        if text.startswith(LISTENING):
            return text.removeprefix(LISTENING)
    await server.wait()
    return ""


@asynccontextmanager
async def local_server(
    waiting: Callable[[float], None],
    *,
    command: Sequence[str] = COMMAND,
    environment: Mapping[str, str] | None = None,
    listening: Callable[[Process], Awaitable[str]] = read_listening_address,
    start_timeout_seconds: float = START_TIMEOUT_SECONDS,
) -> AsyncGenerator[str, None]:
    """Start a server and yield its address once it listens; `waiting` is called every second with the seconds so far.

    `environment` is added to ours. `listening` waits until the server listens, and returns its address, or "" if the
    server ends instead. The log goes to a file, which is named in a note on an error and removed otherwise.
    """
    if command[: len(COMMAND)] == COMMAND and importlib.util.find_spec("forefill_service") is None:
        raise ServerNotStarted(
            "the service is not installed here: install forefill with its extra 'cpu', or use --target"
        )
    log = _log_file()
    server = await _start(command, environment or {}, log)
    keep_log = listens = False
    try:
        address = await _address(server, listening, log, waiting, start_timeout_seconds)
        listens = True
        async with _drained(server):
            yield address
    except Exception as error:
        keep_log = True
        error.add_note(f"the server's log: {log}")
        raise
    finally:
        await _stop(server, STOP_TIMEOUT_SECONDS if listens else STOP_EARLY_TIMEOUT_SECONDS)
        if not keep_log:
            os.unlink(log)


def _log_file() -> Path:
    handle, name = tempfile.mkstemp(prefix="forefill-server-", suffix=".log")
    os.close(handle)
    return Path(name)


async def _start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    with log.open("wb") as errors:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for us: the server is then stopped in good order
        )


async def _address(
    server: Process,
    listening: Callable[[Process], Awaitable[str]],
    log: Path,
    waiting: Callable[[float], None],
    timeout_seconds: float,
) -> str:
    began = time.monotonic()
    listens = asyncio.ensure_future(listening(server))
    try:
        while not listens.done():
            seconds = time.monotonic() - began
            if seconds > timeout_seconds:
                raise ServerNotStarted(f"the server did not listen within {timeout_seconds:g} s: see its log")
            waiting(seconds)
            await asyncio.wait({listens}, timeout=1.0)
    finally:
        listens.cancel()
    if address := listens.result():
        return address
    raise ServerNotStarted(f"the server did not start: {_last_line(log)}")


@asynccontextmanager
async def _drained(server: Process) -> AsyncGenerator[None, None]:
    """Read and forget what else the server prints, so that it never waits for us."""

    async def drain() -> None:
        while server.stdout is not None and await server.stdout.read(65536):
            pass

    task = asyncio.create_task(drain())
    try:
        yield
    finally:
        task.cancel()


async def _stop(server: Process, timeout_seconds: float) -> None:
    """Ask the server to stop; if it does not, or if we are hurried, kill it and the processes that it started."""
    with contextlib.suppress(ProcessLookupError):
        server.terminate()
    try:
        async with asyncio.timeout(timeout_seconds):
            await server.wait()
    except (TimeoutError, asyncio.CancelledError) as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # it leads a group of its own
        await server.wait()
        if isinstance(error, asyncio.CancelledError):
            raise


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
