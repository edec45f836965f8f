"""What users notice when a replica hangs or dies under them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine.rendezvous import ranked
from forefill_service.fleet.resume_token import token_of

from tests.support.replicas import WAIT_SECONDS, Front, forefill_in_front_of, new_context
from tests.support.vllm_server import HttpProcess
from tests.support.wire import SubmitRefused, Typist, typing_at

pytestmark = [pytest.mark.vllm, pytest.mark.replicas, pytest.mark.asyncio(loop_scope="session")]

Servers = tuple[HttpProcess, HttpProcess]
QUESTION = "Show the names of all makers that sold more than three models "
LONG = pb.Sampling(temperature=0, max_tokens=800)


def key_of(server: HttpProcess, servers: Servers) -> str:
    """Return a session key that falls to this server."""
    names = [other.url for other in servers]
    return next(key for key in map(str, range(1000)) if ranked(f"/{key}", names)[0] == server.url)


@asynccontextmanager
async def typing_before(
    front: Front, server: HttpProcess, servers: Servers, **opening: object
) -> AsyncIterator[Typist]:
    """Open a session that belongs to this server, however many are there, and warm its question there."""
    place = {"session_key": key_of(server, servers), "resume_token": token_of(server.url)}
    async with typing_at(front.address, new_context(), **place, **opening) as typist:  # type: ignore[arg-type]
        await typist.type(QUESTION)
        assert (await typist.flush()).cached_tokens > 200
        yield typist


@contextmanager
def stopped(server: HttpProcess) -> Iterator[None]:
    """Let a server hang for the time of the block: it takes connections and answers nothing."""
    server.send(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send(signal.SIGCONT)


async def first_token(typist: Typist) -> None:
    """Press Enter and wait until the answer has begun."""
    await typist.send_submit()
    while (await typist.read()).WhichOneof("response") != "generation_delta":
        pass


async def interrupted(typist: Typist) -> pb.SessionError:
    """Return the error that ends the running answer."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            response = await typist.read()
            assert response.WhichOneof("response") != "generation_finished"
            if response.WhichOneof("response") == "session_error":
                typist.gets_back()
                return response.session_error


async def test_a_server_that_hangs_in_mid_typing_costs_its_sessions_speed_alone(two_servers: Servers) -> None:
    mine, other = two_servers
    async with (
        forefill_in_front_of(*two_servers) as front,
        typing_before(front, mine, two_servers) as typist,
        typing_before(front, other, two_servers) as neighbour,
    ):
        with stopped(mine):
            await typist.type(QUESTION)
            await typist.send_flush()
            assert (await neighbour.submit()).cached_tokens > 200
            await front.until(lambda: not front.engines[mine.url].up)
            answer = await typist.submit()
            assert answer.text
            assert front.engines[other.url].up
        await front.until(lambda: front.engines[mine.url].up)
        await typist.type(QUESTION)
        flushed = await typist.flush()
        assert (await typist.submit()).cached_tokens >= flushed.cached_tokens > 0


async def test_a_submit_that_meets_a_hanging_server_is_answered_by_another(two_servers: Servers) -> None:
    mine, _ = two_servers
    async with forefill_in_front_of(*two_servers) as front, typing_before(front, mine, two_servers) as typist:
        with stopped(mine):
            assert (await typist.submit()).text
        await front.until(lambda: front.engines[mine.url].up)


async def test_a_server_that_hangs_in_mid_answer_ends_it_with_what_was_sent(two_servers: Servers) -> None:
    mine, other = two_servers
    async with (
        forefill_in_front_of(*two_servers) as front,
        typing_before(front, mine, two_servers, sampling=LONG) as typist,
        typing_before(front, other, two_servers) as neighbour,
    ):
        await first_token(typist)
        with stopped(mine):
            error = await interrupted(typist)
            assert error.reason == pb.ERROR_REASON_GENERATION_INTERRUPTED
            assert error.sent_text
            assert (await neighbour.submit()).text
        await front.until(lambda: front.engines[mine.url].up)


async def test_kill_in_mid_typing_and_in_mid_answer_and_the_way_back(two_servers: Servers) -> None:
    mine, other = two_servers
    async with (
        forefill_in_front_of(*two_servers) as front,
        typing_before(front, mine, two_servers) as typist,
        typing_before(front, mine, two_servers, sampling=LONG) as answering,
        typing_before(front, other, two_servers, sampling=LONG) as neighbour,
    ):
        await first_token(answering)
        await first_token(neighbour)
        await mine.kill()

        error = await interrupted(answering)
        assert error.reason == pb.ERROR_REASON_GENERATION_INTERRUPTED
        assert error.sent_text
        await typist.type(QUESTION)
        await typist.send_flush()
        assert (await typist.submit()).text, "answered elsewhere"
        assert (await neighbour.answer()).finished.usage.completion_tokens > 0, "others go on"

        await mine.start()
        await front.until(lambda: front.engines[mine.url].up)
        for session in (typist, answering):
            await session.type(QUESTION)
            flushed = await session.flush()
            assert flushed.computed_tokens > 200, "the cache is empty"
        assert (await typist.submit()).cached_tokens > 200


async def test_where_every_server_hangs_the_answer_fails_the_session_lives_and_health_says_so(
    two_servers: Servers,
) -> None:
    mine, other = two_servers
    async with forefill_in_front_of(*two_servers) as front, typing_before(front, mine, two_servers) as typist:
        with stopped(mine), stopped(other):
            with pytest.raises(SubmitRefused) as refused:
                await typist.submit()
            assert refused.value.reason == pb.ERROR_REASON_GENERATION_FAILED
            assert not front.running.backend.replicas.up
        await front.until(lambda: all(engine.up for engine in front.engines.values()))
        assert (await typist.submit(QUESTION)).text
