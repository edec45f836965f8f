"""A forefill server whose answers a test plays, and which keeps the draft that its client's edits make."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from forefill.v1 import keystroke_pb2 as pb
from forefill_client import AsyncClient, Resume

from .scripted_service import OPENED, Wire, serving

SECONDS_TO_GIVE_UP = 30
QUICKLY = Resume(first_delay_seconds=0.01, longest_delay_seconds=0.02)


@dataclass(frozen=True)
class Asked:
    """An event that asks for an answer, on the stream by which it came, and the server's draft before it."""

    wire: Wire
    event: pb.KeystrokeEvent
    draft: str

    @property
    def text(self) -> str:
        return self.event.submit.text

    async def begins(self, *deltas: str, reasoning: str = "") -> None:
        """Send the first token, and these parts."""
        seq = self.event.seq
        source = pb.GENERATION_SOURCE_WARM
        started = pb.GenerationStarted(seq=seq, ttft_ms=2, prompt_tokens=60, cached_tokens=48, source=source)
        await self.wire.send(generation_started=started)
        if reasoning:
            await self.wire.send(generation_delta=pb.GenerationDelta(seq=seq, reasoning=reasoning))
        await self.says(*deltas)

    async def says(self, *deltas: str) -> None:
        for delta in deltas:
            await self.wire.send(generation_delta=pb.GenerationDelta(seq=self.event.seq, text=delta))

    async def ends(self, reason: "pb.FinishReason.ValueType" = pb.FINISH_REASON_STOP) -> None:
        await self.wire.send(generation_finished=pb.GenerationFinished(seq=self.event.seq, reason=reason))

    async def is_answered(self, text: str) -> None:
        await self.begins(text)
        await self.ends()


@dataclass
class Puppet:
    """What came to the server, over all streams."""

    opened: pb.Opened
    openings: list[pb.Open] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    submits: "asyncio.Queue[Asked]" = field(default_factory=asyncio.Queue)
    others: "asyncio.Queue[pb.KeystrokeEvent]" = field(default_factory=asyncio.Queue)
    """All but edits, flushes and submits."""
    flushes: "asyncio.Queue[tuple[Wire, pb.KeystrokeEvent]]" = field(default_factory=asyncio.Queue)

    async def asked(self) -> Asked:
        """Return the next submit."""
        async with asyncio.timeout(SECONDS_TO_GIVE_UP):
            return await self.submits.get()

    async def hears(self, kind: str) -> pb.KeystrokeEvent:
        """Return the next event of one of the other kinds."""
        async with asyncio.timeout(SECONDS_TO_GIVE_UP):
            while (event := await self.others.get()).WhichOneof("kind") != kind:
                pass
            return event

    async def play(self, wire: Wire) -> None:
        with suppress(StopAsyncIteration):
            await wire.open(self.opened)
            self.openings.append(wire.opening)
            self.wires.append(wire)
            draft = wire.opening.draft
            while True:
                draft = await self._take(wire, await wire.event(), draft)

    async def _take(self, wire: Wire, event: pb.KeystrokeEvent, draft: str) -> str:
        match event.WhichOneof("kind"):
            case "char_add":
                return draft + event.char_add.text
            case "char_delete":
                return draft[: max(0, len(draft) - event.char_delete.count)]
            case "replace":
                return draft[: event.replace.start] + event.replace.text + draft[event.replace.end :]
            case "flush":
                await self.flushes.put((wire, event))
                return draft
            case "submit":
                await self.submits.put(Asked(wire, event, draft))
                return ""
            case _:
                await self.others.put(event)
                return draft


@asynccontextmanager
async def puppet(opened: pb.Opened = OPENED) -> AsyncIterator[tuple[Puppet, AsyncClient]]:
    """Serve a puppet, and connect a client to it whose sessions resume."""
    played = Puppet(opened)
    async with (
        asyncio.timeout(2 * SECONDS_TO_GIVE_UP),
        serving(played.play) as address,
        AsyncClient.connect(address, resume=QUICKLY) as client,
    ):
        yield played, client
