"""Where sessions go, over the wire: forefill in front of two fake vLLM servers."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import AsyncClient
from forefill_service.server import RunningServer, running_server

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.remote_engine import remote_engine, remote_settings
from tests.support.wire import Typist, typing_at

SESSIONS = 40
QUESTION = "Which of all these horses is the fastest one "


@pytest.fixture
async def servers() -> AsyncIterator[list[FakeVllm]]:
    async with fake_vllm() as first, fake_vllm() as second:
        yield [first, second]


@asynccontextmanager
async def copy_of_forefill(*servers: FakeVllm) -> AsyncIterator[RunningServer]:
    """Run forefill in front of these servers within the block."""
    urls = [server.url for server in servers]
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(remote_engine(server)) for server in servers]
        yield await stack.enter_async_context(running_server(engines, remote_settings(*urls, pregeneration=False)))


def context(number: int) -> list[tuple[str, str]]:
    return [("system", " ".join(f"{number}-{word}" for word in range(40)))]


async def flushed(typist: Typist) -> pb.FlushResult:
    await typist.type(QUESTION)
    return await typist.flush()


async def test_forty_sessions_at_random_are_spread_evenly(servers: list[FakeVllm]) -> None:
    async with copy_of_forefill(*servers) as ours, AsyncExitStack() as stack:
        for server in servers:
            server.bodies.clear()  # those of the self-test
        for number in range(SESSIONS):
            typist = await stack.enter_async_context(typing_at(ours.address, context(number)))
            assert (await flushed(typist)).cached_tokens > 0
        prompts = [{tuple(body["prompt"][:24]) for body in server.bodies} for server in servers]
        there = [sum(len(prompt) == 24 for prompt in each) for each in prompts]  # a probe is shorter
    assert sum(there) == SESSIONS, "each has asked one server alone"
    assert max(there) <= 1.3 * min(there)
    assert [replica.sessions for replica in ours.backend.replicas.all] == [0, 0]


async def test_another_copy_of_forefill_finds_a_sessions_blocks(servers: list[FakeVllm]) -> None:
    async with copy_of_forefill(*servers) as ours, copy_of_forefill(*servers[::-1]) as theirs:
        for number in range(6):
            key = f"session-{number}"
            async with AsyncExitStack() as stack:
                for _ in range(number):  # so that load, not the key, decides
                    await stack.enter_async_context(typing_at(ours.address))
                typist = await stack.enter_async_context(typing_at(ours.address, context(number), session_key=key))
                was_cached = (await flushed(typist)).cached_tokens
                token = typist.opened.resume_token
            resumed = typing_at(
                theirs.address,
                context(number),
                session_key=key,
                resume_token=token,
                draft=QUESTION,
                warm_mode=pb.WARM_MODE_OFF,
            )
            async with resumed as typist:
                assert typist.opened.resume_token == token
                assert (await typist.submit()).finished.usage.cached_tokens >= was_cached > 0


async def test_the_sdk_resumes_at_another_copy(servers: list[FakeVllm]) -> None:
    async with copy_of_forefill(*servers) as ours, copy_of_forefill(*servers[::-1]) as theirs:
        async with AsyncClient.connect(ours.address) as client, client.session(context(1)) as first:
            opened = first.opened
        async with (
            AsyncClient.connect(theirs.address) as client,
            client.session(context(1), session_key=opened.session_id, resume_token=opened.resume_token) as again,
        ):
            assert again.opened.resume_token == opened.resume_token != ""


async def test_a_client_that_knows_no_tokens_is_served(servers: list[FakeVllm]) -> None:
    async with copy_of_forefill(*servers) as ours:
        for token in ("", "1.00000000", "from another release"):
            async with typing_at(ours.address, context(1), session_key="a", resume_token=token) as typist:
                await flushed(typist)
                assert (await typist.submit()).finished.usage.completion_tokens > 0
