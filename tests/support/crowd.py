"""A crowd at one server, in the middle of all that a stream can be in the middle of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub

from .served import ended_by
from .wire import Typist, typing_at

LONG = pb.Sampling(temperature=0, max_tokens=1000, ignore_eos=True)
SYSTEM = ("system", "You write SQL for a clinic. " * 8)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Streams of each kind; `unopened` has sent nothing."""

    composing: list[Typist]
    answering: list[Typist]
    unopened: Typist

    async def asks(self) -> None:
        """Let half of those who compose send FLUSH and the others SUBMIT, and wait for neither."""
        for index, typist in enumerate(self.composing):
            await (typist.send_submit() if index % 2 else typist.send_flush())

    async def endings(self) -> list[grpc.aio.AioRpcError]:
        """Return what ends each of them."""
        return await asyncio.gather(*map(ended_by, (*self.composing, *self.answering, self.unopened)))


@asynccontextmanager
async def crowd_at(address: str, each: int = 4) -> AsyncIterator[Crowd]:
    """Open so many streams that compose, and so many whose answers run."""
    async with AsyncExitStack() as stack, grpc.aio.insecure_channel(address) as channel:
        composing, answering = [
            [await stack.enter_async_context(typing_at(address, [SYSTEM], sampling=LONG)) for _ in range(each)]
            for _ in range(2)
        ]
        for index, typist in enumerate(composing):
            await typist.type(f"Show me all {index} of them ")
        for typist in answering:
            await typist.send_submit("Count to a thousand.")
        for typist in answering:
            while not (await typist.read()).HasField("generation_delta"):
                pass
        yield Crowd(composing, answering, Typist(KeystrokeServiceStub(channel).Compose()))
