"""Clients in a process of their own, which a test may kill or stop: `python -m tests.support.client_process`."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from forefill_client import AsyncClient, Sampling

READY_SECONDS = 60


async def run(address: str, typing: int, reading: int) -> None:
    """Hold so many sessions that type, and so many that read a long answer, until this process ends."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncClient.connect(address))
        sessions = [
            await stack.enter_async_context(client.session(sampling=Sampling(temperature=0)))
            for _ in range(typing + reading)
        ]
        answers = [await session.submit("Count to a million.") for session in sessions[typing:]]
        started = [aiter(answer) for answer in answers]
        for parts in started:
            await anext(parts)
        for session in sessions[:typing]:
            await session.type("Show me all ")
        print("ready", flush=True)
        await asyncio.gather(*(answer.text() for answer in answers))
        await asyncio.Event().wait()


@asynccontextmanager
async def client_process(
    address: str, *, typing: int = 0, reading: int = 0, run_by: Sequence[str] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run them until the block ends, or the test has ended them; it begins when all of them are at work.

    `run_by` is a command that runs another in other surroundings.
    """
    process = await asyncio.create_subprocess_exec(
        *(*run_by, sys.executable),
        *("-m", __name__, address, "--typing", str(typing), "--reading", str(reading)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_SECONDS):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--typing", type=int)
    parser.add_argument("--reading", type=int)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.address, arguments.typing, arguments.reading))
