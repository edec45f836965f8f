"""A remote engine that refuses, or makes no sense, over the wire: what a client is told of it, and what it is not."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import AsyncClient, GenerationFailed
from forefill_service.server import RunningServer, running_server

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.remote_engine import remote_engine, remote_settings
from tests.support.wire import Typist, Wire, typing_at

SYSTEM = ("system", " ".join(f"word-{number}" for number in range(40)))
QUESTION = "Which of all these horses is the fastest one"
CANARY = "zyzzyva"
NONSENSE = {"choices": [{"text": [CANARY]}]}


@pytest.fixture
async def vllm() -> AsyncIterator[FakeVllm]:
    async with fake_vllm() as server:
        server.faults.words = f"{CANARY} at http://10.1.2.3:8000, [1, 2, 3]"
        yield server


@asynccontextmanager
async def forefill(*servers: FakeVllm, **settings: Any) -> AsyncIterator[RunningServer]:
    """Run forefill in front of these servers within the block."""
    asked = remote_settings(*(server.url for server in servers), pregeneration=False, go_away_seconds=0, **settings)
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(remote_engine(server, **settings)) for server in servers]
        yield await stack.enter_async_context(running_server(engines, asked))


@asynccontextmanager
async def typing(server: RunningServer) -> AsyncIterator[Typist]:
    """Open a session whose prompts are made here: a FLUSH waits until that is known."""
    async with typing_at(server.address, [SYSTEM], sampling=pb.Sampling()) as typist:
        await typist.type(QUESTION)
        await typist.flush()
        yield typist


async def refused(typist: Typist) -> pb.SessionError:
    await typist.send_submit()
    while (response := await typist.read()).WhichOneof("response") != "session_error":
        assert not response.HasField("generation_finished"), response
    return response.session_error


def after(parts: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Make nonsense of the events after so many."""
    numbers = iter(range(1000))
    return lambda event: event if next(numbers) < parts else NONSENSE


@pytest.mark.parametrize("status", [429, 503])
async def test_an_engine_without_room_says_when_to_submit_again(vllm: FakeVllm, status: int) -> None:
    async with (
        forefill(vllm) as server,
        AsyncClient.connect(server.address) as client,
        client.session([SYSTEM]) as session,
    ):
        vllm.faults.status, vllm.faults.retry_after = status, "7"
        with pytest.raises(GenerationFailed) as failed:
            await (await session.submit(QUESTION)).text()
        assert (failed.value.retry_after_seconds, failed.value.session_continues) == (7.0, True)
        assert CANARY not in str(failed.value)
        vllm.faults.status = None
        assert await (await session.submit(QUESTION)).text()


@pytest.mark.parametrize(("parts", "reason"), [(0, "GENERATION_FAILED"), (3, "GENERATION_INTERRUPTED")])
async def test_an_answer_that_makes_no_sense_fails_or_is_interrupted_and_the_session_goes_on(
    vllm: FakeVllm, caplog: pytest.LogCaptureFixture, parts: int, reason: str
) -> None:
    caplog.set_level("DEBUG")
    async with forefill(vllm) as server, typing(server) as typist:
        vllm.faults.twist = after(parts)
        error = await refused(typist)
        assert error.reason == pb.ErrorReason.Value(f"ERROR_REASON_{reason}")
        assert bool(error.sent_text) is bool(parts)
        vllm.faults.twist = None
        assert (await typist.submit(QUESTION)).text
    assert CANARY not in error.message + caplog.text
    assert "choices.text" in caplog.text, "the operator is told which field it was"


async def test_one_that_makes_no_sense_at_once_is_tried_elsewhere(vllm: FakeVllm) -> None:
    async with fake_vllm() as other, forefill(vllm, other, retry_share=1) as server, typing(server) as typist:
        home = vllm if any(len(body["prompt"]) > 40 and body["max_tokens"] == 1 for body in vllm.bodies) else other
        home.faults.twist = after(0)
        assert (await typist.submit()).text


@pytest.mark.parametrize("status", [400, 413, 418, 500])
async def test_no_words_of_a_refusal_reach_the_client_or_the_log(
    vllm: FakeVllm, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level("DEBUG")
    async with forefill(vllm) as server, typing(server) as typist:
        vllm.faults.status = status
        error = await refused(typist)
        vllm.faults.status = None
    assert error.reason == pb.ERROR_REASON_GENERATION_FAILED
    for leak in (CANARY, "10.1.2.3", "[1, 2"):
        assert leak not in error.message
        assert leak not in caplog.text
    assert f"HTTP status {status}" in caplog.text, "the operator is told the status"


async def test_a_sampling_that_the_server_refuses_is_refused_in_words_of_ours(vllm: FakeVllm) -> None:
    vllm.refuses = f"Grammar error: {CANARY}"
    async with forefill(vllm) as server:
        wire = Wire(server.address)
        await wire.write(pb.ComposeRequest(open=pb.Open(sampling=pb.Sampling(grammar="root ::= nothing"))))
        assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SAMPLING")
        assert "the engine cannot use the grammar" in str(await wire.call.details())
        assert CANARY not in str(await wire.call.details())
        await wire.channel.close()
