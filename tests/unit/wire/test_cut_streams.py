"""Streams that are cut in every way, at every point: nothing of them is left, and the server works on."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub

from tests.support.served import SETTINGS, TEXT, Served, changed, ended_by, served, until
from tests.support.wire import GREEDY, LONG_SYSTEM, Typist, typing_at

AT_ONCE = 20
SHORT, LONG = 3, 5000
"""Tokens of an answer that is read to its end, and of one that is cut."""
Way = Callable[[Served, Typist], Awaitable[None]]


async def before_open(server: Served, typist: Typist) -> None:
    typist.call.cancel()


async def while_it_opens(server: Served, typist: Typist) -> None:
    await typist.call.write(_opening(LONG))
    typist.call.cancel()


async def while_it_composes(server: Served, typist: Typist) -> None:
    await _opened(typist)
    await typist.type(TEXT)
    typist.call.cancel()


async def while_it_warms(server: Served, typist: Typist) -> None:
    await _opened(typist)
    await typist.type(TEXT)
    await typist.send_flush()
    typist.call.cancel()


async def while_it_is_answered(server: Served, typist: Typist) -> None:
    await _opened(typist)
    await typist.send_submit(TEXT)
    while not (await typist.read()).HasField("generation_delta"):
        pass
    typist.call.cancel()


async def by_half_a_goodbye(server: Served, typist: Typist) -> None:
    await _opened(typist)
    await typist.send_submit(TEXT)
    await typist.call.done_writing()
    assert (await ended_by(typist)).code() is grpc.StatusCode.CANCELLED


async def by_a_refusal(server: Served, typist: Typist) -> None:
    await typist.type("a")
    assert await typist.call.code() is grpc.StatusCode.FAILED_PRECONDITION


async def in_good_order(server: Served, typist: Typist) -> None:
    await _opened(typist, SHORT)
    await typist.submit(TEXT)
    await typist.end()


async def with_its_connection(server: Served, typist: Typist) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        other = Typist(KeystrokeServiceStub(channel).Compose())
        await _opened(other)
        await other.send_submit(TEXT)
        while not (await other.read()).HasField("generation_delta"):
            pass
    typist.call.cancel()


async def in_the_next_turn(server: Served, typist: Typist) -> None:
    await _opened(typist, SHORT)
    await typist.submit(TEXT)
    await typist.send_submit(TEXT)
    typist.call.cancel()


@pytest.mark.parametrize(
    "way",
    [
        before_open,
        while_it_opens,
        while_it_composes,
        while_it_warms,
        while_it_is_answered,
        by_half_a_goodbye,
        by_a_refusal,
        in_good_order,
        with_its_connection,
        in_the_next_turn,
    ],
)
async def test_nothing_is_left_of_streams_that_end(way: Way) -> None:
    async with served(settings=changed(SETTINGS, max_sessions=1000)) as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            await _are_cut(server, channel, way)  # what is made for the first streams may stay
            await _nothing_runs(server)
            before = _service_tasks()
            await _are_cut(server, channel, way)
            await _nothing_runs(server)
            await until(lambda: len(_service_tasks()) <= len(before))
        async with typing_at(server.address, sampling=GREEDY) as newcomer:
            assert (await newcomer.submit(TEXT)).finished.usage.completion_tokens == 1


async def _are_cut(server: Served, channel: grpc.aio.Channel, way: Way) -> None:
    stub = KeystrokeServiceStub(channel)
    await asyncio.gather(*(way(server, Typist(stub.Compose())) for _ in range(AT_ONCE)))


async def _nothing_runs(server: Served) -> None:
    servicer, [replica] = server.running.servicer, server.running.backend.replicas.all
    await until(lambda: servicer.streams == 0)
    await until(lambda: replica.admission.waiting == replica.admission.speculative == 0)
    assert servicer.sessions == 0
    assert servicer.left.is_set()
    assert replica.sessions == 0
    assert server.sample("sessions") == 0


def _service_tasks() -> list[str]:
    """Return the tasks that run code of the service; the client's own are beside them here."""
    return [str(task.get_coro()) for task in asyncio.all_tasks() if "forefill_service" in repr(task)]


def _opening(tokens: int) -> pb.ComposeRequest:
    sampling = pb.Sampling(temperature=0, max_tokens=tokens)
    return pb.ComposeRequest(open=pb.Open(messages=[LONG_SYSTEM], sampling=sampling))


async def _opened(typist: Typist, tokens: int = LONG) -> None:
    await typist.call.write(_opening(tokens))
    assert (await typist.read()).HasField("opened")
