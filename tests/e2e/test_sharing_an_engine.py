"""What sessions of one server share, on real vLLM: blocks computed once, and the engine's word on what it holds."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine import Priority, warm
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings

from tests.support.recording import RecordingEngine
from tests.support.wire import typing_at

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

USERS = 8
WAIT_SECONDS = 60


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def recorded(embedded_engine: EmbeddedEngine) -> AsyncIterator[tuple[RunningServer, RecordingEngine]]:
    recording = RecordingEngine(embedded_engine)
    async with running_server([recording], Settings(port=0, metrics_port=-1)) as server:
        yield server, recording


def new_prompt(words: int) -> list[tuple[str, str]]:
    return [("system", f"{secrets.token_hex(8)} " + "You translate questions into SQL. " * (words // 6))]


async def warmed_prompt(address: str, messages: list[tuple[str, str]]) -> pb.FlushResult:
    async with typing_at(address, messages) as typist:
        result = await typist.flush()
        await typist.end()
    return result


async def test_users_who_open_one_prompt_at_once_have_it_computed_once(
    recorded: tuple[RunningServer, RecordingEngine],
) -> None:
    server, recording = recorded
    messages = new_prompt(600)
    before = len(recording.requests)
    results = await asyncio.gather(*(warmed_prompt(server.address, messages) for _ in range(USERS)))
    base = results[0].cached_tokens
    assert base > 400
    assert {result.cached_tokens for result in results} == {base}
    warms = [len(request.prompt_ids) for request in recording.requests[before:] if request.priority is Priority.WARM]
    assert warms == sorted(set(warms)), "no block is computed twice"
    assert warms[-1] == base


async def test_what_vllm_says_it_evicted_is_warmed_again_when_the_user_types_on(
    recorded: tuple[RunningServer, RecordingEngine], embedded_engine: EmbeddedEngine
) -> None:
    server, _ = recorded
    async with typing_at(server.address, new_prompt(200)) as typist:
        first = await typist.flush()
        assert server.backend.replicas.all[0].blocks.told_by_engine
        assert await embedded_engine.vllm.reset_prefix_cache()
        await warm(embedded_engine, [7] * 64, secrets.token_hex(8))  # vLLM tells with its next step
        async with asyncio.timeout(WAIT_SECONDS):
            while server.backend.replicas.all[0].blocks.believed > 2:  # noqa: ASYNC110 (its word comes over a socket)
                await asyncio.sleep(0.01)
        await typist.type("Show the names of all makers that were seen in the last few years and order them by name ")
        again = await typist.flush()
        assert again.computed_tokens == again.cached_tokens > first.cached_tokens
        answer = await typist.submit()
        assert answer.cached_tokens >= again.cached_tokens


async def test_vllm_says_how_it_is_doing(embedded_engine: EmbeddedEngine, embedded_server: RunningServer) -> None:
    running, sampling = 0, pb.Sampling(max_tokens=16, temperature=0)
    async with typing_at(embedded_server.address, new_prompt(60), sampling=sampling) as typist:
        await typist.type("Tell me a story")
        answer = asyncio.create_task(typist.submit())
        while not answer.done():
            running = max(running, embedded_engine.load.running)
            await asyncio.sleep(0.001)
        await answer
    assert running >= 1
    assert 0 <= embedded_engine.load.cache_usage < 1
