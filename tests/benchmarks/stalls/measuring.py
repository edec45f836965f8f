"""What one attack on a fresh server does to it, and to another user."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.process_usage import settled_memory
from tests.benchmarks.stalls.attacker import Attacker
from tests.benchmarks.stalls.attacks import Attack
from tests.benchmarks.stalls.messages import WORDS, filled, opening, said
from tests.support.neighbour import Neighbour
from tests.support.wire import typing_at

FLUSH_EVERY_SECONDS = 0.05
LONGEST_DRAFT = 2000
FLUSHES_BEFORE = 20
SECONDS_TO_GIVE_UP = 60


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    process: asyncio.subprocess.Process
    address: str

    async def longest_stall(self) -> float:
        """Return the longest stall since this was last asked for, in milliseconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        return float(await self.process.stdout.readline())

    async def memory_kib(self) -> int:
        """Return its memory once that has settled."""
        return (await settled_memory(self.process.pid)).uss_kib


@asynccontextmanager
async def a_server() -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.stalls.server"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield Server(process, (await process.stdout.readline()).decode().strip())
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@dataclass(frozen=True, slots=True)
class Row:
    """What one attack did; times in milliseconds, memory in KiB."""

    attack: str
    became: str
    seconds: float
    stall_ms: float
    flush_ms: tuple[float, float]
    held_kib: int


async def measure(name: str, attack: Attack) -> Row:
    """Run one attack on a fresh server."""
    async with a_server() as server, other_user(server.address) as other:
        await grown(server)
        before = await server.memory_kib()
        other.waits.clear()
        await server.longest_stall()
        attacker, began = Attacker(server.address), time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_TO_GIVE_UP):
                await attack(attacker)
        seconds = time.monotonic() - began
        stall = await server.longest_stall()
        flush_ms = (_ms(median(other.waits or [0])), _ms(max(other.waits, default=0)))
        streams = max(1, len(attacker.streams))
        held = (await server.memory_kib() - before) // streams
        await attacker.close()
        return Row(name, ", ".join(sorted(attacker.became)), round(seconds, 2), stall, flush_ms, held)


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


@asynccontextmanager
async def other_user(address: str) -> AsyncIterator[Neighbour]:
    """Have another user type and flush within the block, who has been served for a while before it."""
    async with typing_at(address, [("system", "You answer questions.")]) as typist:
        other = Neighbour(typist, FLUSH_EVERY_SECONDS, LONGEST_DRAFT)
        try:
            for _ in range(FLUSHES_BEFORE):
                await other.is_served()
            yield other
        finally:
            await other.leaves()


async def grown(server: Server) -> None:
    """Have the server's threads, caches and heap grow to what ordinary sessions need."""
    for _ in range(2):
        user = Attacker(server.address)
        await user.open_many(opening(said(filled(WORDS, 30_000))), 10)
        await user.close()
