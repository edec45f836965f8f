"""Where vllm-router's policies send sessions: through it to two fake vLLM servers, without a model.

Each session sends its requests under an X-Session-ID of its own, one after the other or all sessions at once. A second
router in front of the same servers then gets the same sessions in another order: does it send them to the same servers?

    python -m tests.benchmarks.router_policies
"""

import argparse
import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.vllm_server import router, running

POLICIES = ("sticky_least_loaded", "consistent_hash", "power_of_two", "cache_aware")
SESSIONS, REQUESTS, PROMPT_TOKENS = 40, 3, 64


class Servers:
    """The two servers, and who has been there."""

    def __init__(self, servers: Sequence[FakeVllm]) -> None:
        self.servers = servers

    def forget(self) -> None:
        """Count from now on."""
        for server in self.servers:
            server.headers.clear()

    def seen(self) -> list[set[str]]:
        """Return the sessions that have been at each server."""
        return [{headers["x-session-id"] for headers in server.headers} for server in self.servers]


@asynccontextmanager
async def routed(policy: str, servers: Sequence[FakeVllm]) -> AsyncIterator[str]:
    """Run a router with this policy within the block; yield its URL."""
    routing = router(*(server.url for server in servers), policy=policy)
    async with running(routing):
        yield routing.url


async def ask(http: aiohttp.ClientSession, url: str, session: str, rng: random.Random) -> None:
    """Send one request of a session, with a prompt of its own."""
    prompt = [rng.randrange(1, 1000) for _ in range(PROMPT_TOKENS)]
    body = {"model": "fake", "prompt": prompt, "max_tokens": 2, "stream": True}
    async with http.post(f"{url}/v1/completions", json=body, headers={"X-Session-ID": session}) as response:
        response.raise_for_status()
        await response.read()


async def play(url: str, sessions: Sequence[str], *, at_once: bool) -> None:
    """Send the requests of all sessions, in rounds."""
    rng = random.Random(2)
    async with aiohttp.ClientSession() as http:
        for _ in range(REQUESTS):
            if at_once:
                await asyncio.gather(*(ask(http, url, session, rng) for session in sessions))
            else:
                for session in sessions:
                    await ask(http, url, session, rng)


async def measure(policy: str) -> None:
    """Print a row for each way of playing."""
    rng = random.Random(1)
    async with fake_vllm() as first, fake_vllm() as second:
        servers = Servers([first, second])
        for at_once in (False, True):
            sessions = [f"{rng.getrandbits(128):032x}" for _ in range(SESSIONS)]
            places = []
            for order in (sessions, rng.sample(sessions, SESSIONS)):
                async with routed(policy, servers.servers) as url:
                    servers.forget()
                    await play(url, order, at_once=at_once)
                    places.append(servers.seen())
            (here, there), (here_again, there_again) = places
            moved = sum((one in here, one in there) != (one in here_again, one in there_again) for one in sessions)
            played = "at once" if at_once else "in turn"
            print(
                f"{policy:20} {played}: {len(here):2} and {len(there):2} sessions, {len(here & there):2} of them at"
                f" both; {moved:2} other by a second router"
            )


async def main() -> None:
    """Measure the policies that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policies", nargs="*", default=POLICIES, metavar="POLICY")
    for policy in parser.parse_args().policies:
        await measure(policy)


if __name__ == "__main__":
    asyncio.run(main())
