"""The engine of a server hangs or dies: every stream is told so, and the server ends, to be started again."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import psutil  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine.vllm.vitals import IDLE_SECONDS
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support import sleepy_worker
from tests.support.crowd import crowd_at
from tests.support.server_process import ServerProcess, server_process
from tests.support.wire import error_reason, retry_seconds, typing_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Figure

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

ROOT = Path(__file__).resolve().parents[3]
SERVING = health_pb2.HealthCheckResponse.SERVING
ONE_STEP = {"max_num_batched_tokens": 16384, "worker_extension_cls": sleepy_worker.WORKER}
"""A prompt is computed in one step, however long it is, as on a GPU; and the worker can be made to hang."""


def processes_of(server: ServerProcess, title: str) -> list[psutil.Process]:
    """Return the processes of vLLM that bear a title, such as EngineCore."""
    family = psutil.Process(server.pid).children(recursive=True)
    return [process for process in family if f"VLLM::{title}" in " ".join(process.cmdline())]


async def health_until_it_changes(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        watch: Any = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]
        while (await watch.read()).status == SERVING:
            pass
        watch.cancel()


async def all_are_told(server: ServerProcess, title: str, number: signal.Signals, figure: Figure) -> None:
    """Send a signal to vLLM's process of this title, with requests running and coming; follow what becomes of them."""
    family = psutil.Process(server.pid).children(recursive=True)
    [victim] = processes_of(server, title)
    async with crowd_at(server.address) as crowd:
        victim.send_signal(number)
        struck = time.monotonic()
        await crowd.asks()
        await health_until_it_changes(server.address)
        noticed = time.monotonic() - struck
        endings = await crowd.endings()
        told = time.monotonic() - struck
        status, stderr = await server.ended()
        ended = time.monotonic() - struck
    figure("noticed, all told, exit", f"{noticed:.1f}, {told:.1f}, {ended:.1f} s")
    assert len(endings) == 9
    for ending in endings:
        assert (ending.code(), error_reason(ending)) == (grpc.StatusCode.UNAVAILABLE, "ENGINE_UNAVAILABLE")
        assert retry_seconds(ending) >= 1
    assert status == 1
    assert "the engine has died; start the server again" in "".join(stderr)
    assert psutil.wait_procs(family, timeout=30)[1] == [], "the server leaves no process behind"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server_of_long_steps() -> AsyncIterator[ServerProcess]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    async with server_process("--engine-args", json.dumps(ONE_STEP), PYTHONPATH=path) as server:
        await server.listening()
        yield server


async def test_a_long_step_is_not_taken_for_a_hang(server_of_long_steps: ServerProcess, figure: Figure) -> None:
    address, sampling = server_of_long_steps.address, pb.Sampling(temperature=0, max_tokens=2)
    question = "Which of these is the largest? " + "7083591246" * 780  # a token for each digit
    async with AsyncExitStack() as stack:
        typists = [
            await stack.enter_async_context(typing_at(address, warm_mode=pb.WARM_MODE_OFF, sampling=sampling))
            for _ in range(3)
        ]
        longest = 0.0
        for typist in typists:
            await typist.send_submit(question + str(id(typist)))
        for typist in typists:
            answer = await typist.answer()
            assert answer.finished.usage.prompt_tokens > 7500
            longest = max(longest, answer.started.ttft_ms / 1000)
    figure("wait for the first token behind a long step", f"{longest:.1f} s")
    if longest < 2 * IDLE_SECONDS:
        pytest.skip(f"three prompts of 7,800 tokens took {longest:.1f} s: too quick to be taken for a hang")


async def test_a_worker_that_is_stopped_for_a_moment_is_not_taken_for_hung(server_of_long_steps: ServerProcess) -> None:
    [worker] = processes_of(server_of_long_steps, "Worker")
    async with typing_at(server_of_long_steps.address, sampling=pb.Sampling(temperature=0, max_tokens=2)) as typist:
        worker.suspend()
        await typist.send_submit("Is anybody there?")
        time.sleep(2)  # noqa: ASYNC251 - there is nothing else to do
        worker.resume()
        assert (await typist.answer()).finished.usage.completion_tokens == 2


async def test_a_worker_that_hangs_while_requests_wait(server_of_long_steps: ServerProcess, figure: Figure) -> None:
    await all_are_told(server_of_long_steps, "Worker", sleepy_worker.HANG, figure)


@pytest.mark.parametrize(
    ("title", "number"),
    [("EngineCore", signal.SIGSTOP), ("EngineCore", signal.SIGKILL), ("Worker", signal.SIGKILL)],
    ids=["EngineCore is stopped", "EngineCore is killed", "the worker is killed"],
)
async def test_an_engine_that_is_lost_while_requests_wait(title: str, number: signal.Signals, figure: Figure) -> None:
    async with server_process() as server:
        await server.listening()
        await all_are_told(server, title, number, figure)


async def test_a_worker_that_is_stopped_while_nothing_runs(figure: Figure) -> None:
    async with server_process() as server:
        await server.listening()
        [worker] = processes_of(server, "Worker")
        async with typing_at(server.address) as typist:
            worker.suspend()
            struck = time.monotonic()
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await typist.read()
            told = time.monotonic() - struck
            status, stderr = await server.ended()
        figure("told, exit", f"{told:.1f}, {time.monotonic() - struck:.1f} s")
    assert error_reason(raised.value) == "ENGINE_UNAVAILABLE"
    assert retry_seconds(raised.value) >= 1
    assert status == 1
    assert f"its process {worker.pid} has been stopped" in "".join(stderr)
    assert psutil.wait_procs([worker], timeout=30)[1] == [], "the server leaves no process behind"
