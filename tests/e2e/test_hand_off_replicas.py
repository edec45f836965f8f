"""Hand-offs in front of real vLLM servers and a real router: openai-python finds every whole block that was warmed."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from forefill_client import AsyncClient, CacheScope, FlushResult, HandedOff, Session

from tests.support.openai_call import asks, cached
from tests.support.replicas import Front, forefill_in_front_of, new_context, touched, worked
from tests.support.vllm_server import HttpProcess, router, router_program, running

pytestmark = [pytest.mark.vllm, pytest.mark.replicas, pytest.mark.asyncio(loop_scope="session")]

Servers = tuple[HttpProcess, HttpProcess]
QUESTION = "Show the names of all makers that sold more than three models, and how many they sold"
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 8}
SESSIONS = 6
MOST_SESSIONS = 24
"""A router hashes sessions, and six of them go to one of two servers in one run of thirty."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def front(started_servers: Servers) -> AsyncIterator[Front]:
    urls = [server.url for server in started_servers]
    async with forefill_in_front_of(*started_servers, hand_off_url=urls) as front:
        yield front


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def behind_router(started_servers: Servers) -> AsyncIterator[Front]:
    if router_program() is None:
        pytest.skip("vllm-router is not installed (x86-64 alone)")
    routing = router(*(server.url for server in started_servers))
    async with (
        running(routing),
        forefill_in_front_of(routing, router=True, router_workers=2, hand_off_url=[routing.url]) as front,
    ):
        yield front


async def warmed(session: Session) -> FlushResult:
    await session.type(QUESTION)
    return await session.flushed(await session.flush(len(session.draft)))


async def takes_two_turns(session: Session) -> HandedOff:
    """Type, hand off and ask, twice; return what was told last."""
    computed = 0
    for _ in range(2):
        flushed = await warmed(session)
        handed = await session.hand_off()
        said, usage = await asks(handed, **GREEDY)
        assert usage.prompt_tokens == handed.prompt_tokens
        assert cached(usage) == handed.cached_tokens >= flushed.cached_tokens
        block_size = session.opened.block_size
        assert flushed.cached_tokens == flushed.stable_tokens // block_size * block_size > 200
        ledger = await handed.finished(said, usage=usage)
        assert ledger is not None
        assert ledger.used_tokens == ledger.computed_tokens
        computed += ledger.computed_tokens
    assert computed > 200
    return handed


async def all_of_each_reached_one_server(front: Front, servers: Sequence[HttpProcess]) -> set[str]:
    """Take sessions through their turns; return the base URLs that they were told."""
    told: set[str] = set()
    seen: set[int] = set()
    async with AsyncClient.connect(front.address) as client:
        for number in range(MOST_SESSIONS):
            if number >= SESSIONS and len(seen) == len(servers):
                break
            scope = CacheScope.SESSION if number % 2 else CacheScope.SHARED
            before = await worked(servers)
            async with client.session(new_context(), cache_scope=scope) as session:
                told.add((await takes_two_turns(session)).base_url)
            [server] = await touched(servers, before)
            seen.add(server)
    assert seen == {0, 1}
    return told


async def test_each_session_finds_its_blocks_at_its_own_server(front: Front, two_servers: Servers) -> None:
    told = await all_of_each_reached_one_server(front, two_servers)
    assert told == {f"{server.url}/v1" for server in two_servers}


async def test_behind_a_router_the_calls_go_where_the_warms_went(behind_router: Front, two_servers: Servers) -> None:
    [told] = await all_of_each_reached_one_server(behind_router, two_servers)
    assert told not in {f"{server.url}/v1" for server in two_servers}
