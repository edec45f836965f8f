"""The `forefill` program in a process of its own."""

import asyncio
import os
import sys


async def forefill(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """Start it with these arguments and variables."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "forefill_client.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
    )


async def output(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Wait for its end, and return its exit status and what it printed: results, then the rest."""
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()
