"""`forefill web` as a process that can be killed and started again on its port."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .client_program import forefill

START_SECONDS = 60
STOP_SECONDS = 30


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class BridgeProcess:
    """A bridge in front of a server, always on the same port. `log` is what all its processes have written."""

    def __init__(self, *flags: str) -> None:
        self.port = free_port()
        self.log = ""
        self._flags = flags
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._listening = asyncio.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        self._listening.clear()
        self._process = process = await forefill("web", *self._flags, "--port", str(self.port), PYTHONUNBUFFERED="1")
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [asyncio.create_task(self._read(stream)) for stream in (process.stdout, process.stderr)]
        listening = asyncio.create_task(self._listening.wait())
        ended = asyncio.create_task(process.wait())
        await asyncio.wait((listening, ended), timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, ended):
            task.cancel()
        if not self._listening.is_set():
            raise AssertionError(f"forefill web did not start: {self.log}")

    async def kill(self) -> None:
        """End it at once."""
        await self._end(kill=True)

    async def stop(self) -> None:
        """End it in good order."""
        await self._end(kill=False)

    async def _end(self, *, kill: bool) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            (process.kill if kill else process.terminate)()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await asyncio.gather(*self._readers)
            self._process = None

    async def _read(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.log += line.decode(errors="replace")
            if "http://" in self.log:
                self._listening.set()


@asynccontextmanager
async def bridge_process(*flags: str) -> AsyncIterator[BridgeProcess]:
    """Run it within the block."""
    bridge = BridgeProcess(*flags)
    try:
        await bridge.start()
        yield bridge
    finally:
        await bridge.kill()
