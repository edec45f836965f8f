"""Streams that are opened and cut in every way that a client, its user or its network can cut one.

Each way says how its stream has to end, so a soak of them is also a test.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.wire.servicer import SERVICE_NAME

from tests.support.bad_network import bad_network
from tests.support.wire import Typist

SYSTEM = pb.ChatMessage(role="system", content="You answer questions about a clinic. " * 8)
TEXT = "Show me all the patients that were seen in May "
AT_ONCE = 50
STREAMS_PER_CHANNEL = 200
BY_THE_NETWORK = 20
"""Of each thousand streams so many are on one connection that is reset."""
BEGIN_SECONDS = 0.05
"""After that long without a key the answer is begun."""
SECONDS_TO_GIVE_UP = 60

End = grpc.StatusCode | None
"""The status that ends a stream; None if its client does not wait for it."""


async def opened(typist: Typist, **fields: Any) -> None:
    request = pb.Open(messages=[SYSTEM], pregeneration_mode=pb.PREGENERATION_MODE_ON, **fields)
    await typist.call.write(pb.ComposeRequest(open=request))
    typist.opened = (await typist.read()).opened


async def answering(typist: Typist) -> None:
    """Open, submit, and read the first of the answer."""
    await opened(typist)
    await typist.send_submit(TEXT)
    while (await typist.read()).WhichOneof("response") != "generation_delta":
        pass


async def ends(typist: Typist) -> End:
    await opened(typist)
    await typist.type(TEXT)
    await typist.flush()
    await typist.submit()
    await typist.end()
    return grpc.StatusCode.OK


async def ends_in_an_answer(typist: Typist) -> End:
    await answering(typist)
    await typist.event(end=pb.End())
    return grpc.StatusCode.OK


async def ends_before_its_flush_is_answered(typist: Typist) -> End:
    await opened(typist)
    await typist.type(TEXT)
    await typist.send_flush()
    await typist.event(end=pb.End())
    return grpc.StatusCode.OK


async def stops_its_answer(typist: Typist) -> End:
    await answering(typist)
    await typist.event(cancel=pb.Cancel(keep_text=True))
    await typist.answer()
    await typist.event(end=pb.End())
    return grpc.StatusCode.OK


async def closes_without_end(typist: Typist) -> End:
    await opened(typist)
    await typist.type(TEXT)
    await typist.call.done_writing()
    return grpc.StatusCode.CANCELLED


async def closes_in_an_answer(typist: Typist) -> End:
    await answering(typist)
    await typist.call.done_writing()
    return grpc.StatusCode.CANCELLED


async def closes_before_open(typist: Typist) -> End:
    await typist.call.done_writing()
    return grpc.StatusCode.CANCELLED


async def does_not_open(typist: Typist) -> End:
    await typist.event(char_add=pb.CharAdd(text="x"))
    return grpc.StatusCode.FAILED_PRECONDITION


async def sends_no_protobuf(typist: Typist) -> End:
    await opened(typist)
    await typist.call.write(b"\xff\xff")
    return grpc.StatusCode.INVALID_ARGUMENT


async def is_refused(typist: Typist) -> End:
    request = pb.Open(messages=[SYSTEM], sampling=pb.Sampling(temperature=9))
    await typist.call.write(pb.ComposeRequest(open=request))
    return grpc.StatusCode.INVALID_ARGUMENT


async def cancels_at_once(typist: Typist) -> End:
    await typist.call.write(pb.ComposeRequest(open=pb.Open(messages=[SYSTEM])))
    return None


async def cancels_while_typing(typist: Typist) -> End:
    await opened(typist)
    for word in TEXT.split():
        await typist.type(f"{word} ")
        await typist.send_flush()
    return None


async def cancels_in_an_answer(typist: Typist) -> End:
    await answering(typist)
    return None


async def cancels_when_its_answer_is_begun(typist: Typist) -> End:
    await opened(typist)
    await typist.type(TEXT + "?")
    await asyncio.sleep(BEGIN_SECONDS)
    return None


async def cancels_a_hand_off(typist: Typist) -> End:
    await opened(typist)
    await typist.event(hand_off=pb.HandOff(text=TEXT))
    await typist.read()
    return None


WAYS: tuple[Callable[[Typist], Awaitable[End]], ...] = (
    ends,
    ends_in_an_answer,
    ends_before_its_flush_is_answered,
    stops_its_answer,
    closes_without_end,
    closes_in_an_answer,
    closes_before_open,
    does_not_open,
    sends_no_protobuf,
    is_refused,
    cancels_at_once,
    cancels_while_typing,
    cancels_in_an_answer,
    cancels_when_its_answer_is_begun,
    cancels_a_hand_off,
)


def call_on(channel: grpc.aio.Channel) -> Any:
    """Begin a stream that takes messages, and bytes that are none."""
    compose: Any = channel.stream_stream(f"/{SERVICE_NAME}/Compose", _serialized, pb.ComposeResponse.FromString)
    return compose()


def _serialized(message: pb.ComposeRequest | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


async def cut_streams(address: str, count: int) -> None:
    """Open so many streams and cut each, fifty at a time.

    Raises an ExceptionGroup with an AssertionError if one ends otherwise than its way says.
    """
    ways = itertools.cycle(WAYS)
    by_the_network = count * BY_THE_NETWORK // 1000
    await _cut_by_the_network(address, by_the_network)
    left = count - by_the_network
    while left:
        part = min(left, STREAMS_PER_CHANNEL)
        left -= part
        async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            await _all_of(channel, itertools.islice(ways, part))


async def _all_of(channel: grpc.aio.Channel, ways: Iterator[Callable[[Typist], Awaitable[End]]]) -> None:
    turnstile = asyncio.Semaphore(AT_ONCE)

    async def one(way: Callable[[Typist], Awaitable[End]]) -> None:
        async with turnstile, asyncio.timeout(SECONDS_TO_GIVE_UP):
            call = call_on(channel)
            try:
                expected = await way(Typist(call))
                if expected is not None:
                    await _ended(call, way.__name__, expected)
            finally:
                call.cancel()

    async with asyncio.TaskGroup() as group:
        for way in ways:
            group.create_task(one(way))


async def _ended(call: Any, way: str, expected: grpc.StatusCode) -> None:
    with suppress(grpc.aio.AioRpcError):
        while isinstance(await call.read(), pb.ComposeResponse):
            pass
    assert (way, await call.code()) == (way, expected), await call.details()


async def _cut_by_the_network(address: str, count: int) -> None:
    """Have so many streams on one connection, each in the middle of something, and reset it."""
    if not count:
        return
    async with _through_a_proxy(address) as (channel, cuts):
        calls = [call_on(channel) for _ in range(count)]
        half = count // 2
        await asyncio.gather(*(answering(Typist(call)) for call in calls[:half]))
        await asyncio.gather(*(cancels_while_typing(Typist(call)) for call in calls[half:]))
        cuts()
        codes = {await call.code() for call in calls}
        assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK}, codes


@asynccontextmanager
async def _through_a_proxy(address: str) -> Any:
    async with (
        bad_network(address) as network,
        grpc.aio.insecure_channel(network.address, [("grpc.use_local_subchannel_pool", 1)]) as channel,
    ):
        yield channel, network.cuts
