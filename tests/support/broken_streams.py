"""Scripts for streams that break, and sessions that go on on the next."""

from collections.abc import Awaitable, Callable

import grpc
from forefill_client import Resume

from .scripted_service import Wire

RESUME = Resume(seconds=20, first_delay_seconds=0.001, longest_delay_seconds=0.01)
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
Script = Callable[[Wire], Awaitable[None]]


def one_after_the_other(*scripts: Script) -> Script:
    """Play another script on each stream."""
    left = list(scripts)

    async def script(wire: Wire) -> None:
        await left.pop(0)(wire)

    return script


async def breaks_at_once(wire: Wire) -> None:
    await wire.fail(UNAVAILABLE, "not yet")


async def breaks_after_an_event(wire: Wire) -> None:
    await wire.open()
    await wire.event()
    await wire.fail(UNAVAILABLE, "gone")


async def goes_on(wire: Wire) -> None:
    """Answer each submit with its text, until the end."""
    await wire.open()
    try:
        while (event := await wire.event()).WhichOneof("kind") != "end":
            if event.WhichOneof("kind") == "submit":
                await wire.answer(event.seq, event.submit.text)
    except StopAsyncIteration:
        return
