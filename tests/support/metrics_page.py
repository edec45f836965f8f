"""What a server's metrics page says, as a scraper reads it."""

import asyncio
import time

import httpx

EVERY_SECONDS = 0.05
SECONDS_TO_GIVE_UP = 120


async def metrics(address: str) -> dict[str, float]:
    """Return the samples of the page at HOST:PORT, by name and labels."""
    async with httpx.AsyncClient(trust_env=False) as client:
        page = (await client.get(f"http://{address}/metrics")).text
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


async def seconds_until(address: str, name: str, value: float) -> float:
    """Wait until a sample has a value; return how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        while (await metrics(address)).get(name) != value:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(EVERY_SECONDS)
    return time.monotonic() - began
