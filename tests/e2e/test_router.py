"""forefill in front of the real vllm-router in front of two real vLLM servers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb

from tests.support.replicas import Front, forefill_in_front_of, new_context, touched, worked
from tests.support.vllm_server import HttpProcess, router, router_program, running
from tests.support.wire import Answer, SubmitRefused, Typist, typing_at

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.replicas,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(router_program() is None, reason="vllm-router is not installed (x86-64 alone)"),
]

Servers = tuple[HttpProcess, HttpProcess]
TRIES = 20
QUESTION = "Show the names of all makers that sold more than three models "


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def front(started_servers: Servers) -> AsyncIterator[Front]:
    routing = router(*(server.url for server in started_servers))
    async with running(routing), forefill_in_front_of(routing, router=True, router_workers=2) as front:
        yield front


async def answered(typist: Typist, text: str | None = None) -> Answer:
    """Press Enter once a second until there is an answer: the router does not report when it notices a dead worker."""
    for _ in range(TRIES):
        with contextlib.suppress(SubmitRefused):
            return await typist.submit(text or QUESTION)
        await asyncio.sleep(1)
    raise AssertionError(f"no answer in {TRIES} tries")


async def test_what_is_behind_a_router_is_found_out_without_metrics(front: Front) -> None:
    info = front.running.backend.info
    assert (info.block_size, info.context_tokens, info.caches) == (32, 8192, 2)


async def test_all_that_a_session_asks_for_reaches_one_server(front: Front, two_servers: Servers) -> None:
    seen = set()
    for _ in range(8):
        before = await worked(two_servers)
        async with typing_at(front.address, new_context()) as typist:
            for _ in range(2):
                await typist.type(QUESTION)
                flushed = await typist.flush()
                answer = await typist.submit()
                assert answer.cached_tokens >= flushed.cached_tokens > 0
        [server] = await touched(two_servers, before)
        seen.add(server)
    assert seen == {0, 1}


async def test_what_one_session_cached_is_not_believed_of_another_that_may_be_elsewhere(front: Front) -> None:
    context = new_context()
    for _ in range(6):
        async with typing_at(front.address, context) as typist:
            await typist.type(QUESTION)
            flushed = await typist.flush()
            assert (await typist.submit()).cached_tokens >= flushed.cached_tokens > 200


async def test_with_a_worker_dead_sessions_go_to_the_other_and_with_both_dead_nothing_is_up(
    two_servers: Servers,
) -> None:
    routing = router(*(server.url for server in two_servers))
    async with (
        running(routing),
        forefill_in_front_of(routing, router=True, router_workers=2) as front,
        AsyncExitStack() as stack,
    ):
        typists = [await stack.enter_async_context(typing_at(front.address, new_context())) for _ in range(6)]
        for typist in typists:
            await typist.type(QUESTION)
            await typist.flush()
        await two_servers[0].kill()
        for typist in typists:
            await typist.type(QUESTION)
            await typist.send_flush()
            assert (await answered(typist)).text
        assert front.running.backend.replicas.up

        await two_servers[1].kill()
        with pytest.raises(SubmitRefused) as refused:
            await typists[0].submit(QUESTION)
        assert refused.value.reason == pb.ERROR_REASON_GENERATION_FAILED
        await front.until(lambda: not front.running.backend.replicas.up)

        await asyncio.gather(*(server.start() for server in two_servers))
        await front.until(lambda: front.running.backend.replicas.up)
        assert (await answered(typists[0], QUESTION)).text
