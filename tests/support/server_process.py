"""`forefill-server` as an operator runs it: a process with flags, signals, an exit status and two outputs."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

START_SECONDS = 240
STOP_SECONDS = 60


class ServerProcess:
    """One server process; `address` is where it listens, once `listening` returned."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._stderr = asyncio.create_task(self._read_stderr())
        self._lines: list[str] = []
        self.address = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    async def listening(self) -> str:
        """Wait for the line that says where it listens, and return all of it."""
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = (await self._process.stdout.readline()).decode().rstrip("\n")
        if not line:
            raise AssertionError(f"the server did not start: {await self.ended()}")
        self.address = line.rpartition(" ")[2]
        return line

    async def metrics_address(self) -> str:
        """Return where its metrics are, as it logged it."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                if found := re.search(r"http://(\S+)/metrics", "".join(self._lines)):
                    return found[1]
                await asyncio.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> tuple[int, list[str]]:
        """Wait for its end; return its exit status and what it wrote to standard error, line by line."""
        async with asyncio.timeout(START_SECONDS):
            status = await self._process.wait()
            await self._stderr
        return status, self._lines

    async def close(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._stderr.cancel()

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._lines.append(line.decode(errors="replace"))


@asynccontextmanager
async def server_process(*flags: str, **environment: str) -> AsyncIterator[ServerProcess]:
    """Run `forefill-server` with these flags for the time of the block, on free ports unless the flags name some."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "forefill_service", "--port", "0", "--metrics-port", "0", *flags),
        env={"FOREFILL_HEALTH_PORT": "-1", **os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    server = ServerProcess(process)
    try:
        yield server
    finally:
        await server.close()
