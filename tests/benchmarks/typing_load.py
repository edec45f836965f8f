"""Typists for load tests: many streams that play the same turns, as fast as they can or at scheduled instants.

The messages are made before the clock starts, so that the generator costs less than the server it loads. One message is
one event: nothing is batched.
"""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill_client.keystrokes.playback import at_instants
from forefill_service.wire.servicer import SERVICE_NAME

SENTENCE = "Which of these patients saw a doctor twice since last March "
"""60 keys, 11 words."""
TYPO_EVERY = 20
"""Keys between two typos, each of which is a wrong letter and a CHAR_DELETE more."""
STREAMS_PER_CONNECTION = 100
MOST_OPENING = 50
"""Streams that open at once: a crowd, but not all at one instant."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event as it goes over the wire."""

    seq: int
    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from when events were due to their answers, and how late the generator sent events."""

    flush: list[float] = field(default_factory=list)
    first_token: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)

    def clear(self) -> None:
        """Forget all of them."""
        for waits in (self.flush, self.first_token, self.lateness):
            waits.clear()


def turn(first_seq: int, text: str = SENTENCE) -> list[Message]:
    """Return one turn: each key an event, a few typos, a FLUSH after each word, SUBMIT at the end."""
    kinds: list[dict[str, Any]] = []
    for position, char in enumerate(text):
        if position % TYPO_EVERY == TYPO_EVERY - 1:
            kinds += [{"char_add": pb.CharAdd(text="#")}, {"char_delete": pb.CharDelete()}]
        kinds.append({"char_add": pb.CharAdd(text=char)})
        if char == " ":
            typed = text[: position + 1]
            kinds.append({"flush": pb.Flush(draft_code_points=len(typed), draft_crc32=zlib.crc32(typed.encode()))})
    kinds.append({"submit": pb.Submit()})
    return [
        Message(seq, next(iter(kind)), _wire(event=pb.KeystrokeEvent(seq=seq, **kind)))
        for seq, kind in enumerate(kinds, first_seq)
    ]


def turns(count: int) -> list[list[Message]]:
    """Return the turns of one session, its events numbered from 1."""
    made: list[list[Message]] = []
    for _ in range(count):
        made.append(turn(1 + sum(map(len, made))))
    return made


def due_times(start: float, rate: float, gaps: Iterable[float]) -> Iterator[float]:
    """Return the instants of a stream's events: `rate` a second, at gaps that have a mean of 1."""
    due = start
    for gap in gaps:
        due += gap / rate
        yield due


class UnexpectedAnswer(Exception):
    """Raised when a stream gets anything but what a stream without mistakes gets."""


class Stream:
    """One open stream; its reader takes every answer and keeps how long it took from when the event was due."""

    def __init__(self, call: Any, waits: Waits) -> None:
        self.base_prompt_tokens = 0
        self._call = call
        self._waits = waits
        self._due: dict[int, float] = {}
        self._nothing_due = asyncio.Event()
        self._reader: asyncio.Task[None]

    async def open(self, system_prompt: str) -> None:
        messages = [pb.ChatMessage(role="system", content=system_prompt)]
        await self._call.write(_wire(open=pb.Open(messages=messages)))
        self.base_prompt_tokens = (await self._read()).opened.base_prompt_tokens
        self._reader = asyncio.create_task(self._take_answers())

    async def send(self, message: Message, due: float) -> None:
        """Send one event that was due then; a SUBMIT waits for the answer before it, as a user does."""
        if message.kind == "submit":
            await self.answered()
        if message.kind in ("submit", "flush"):
            self._due[message.seq] = due
            self._nothing_due.clear()
        await self._call.write(message.data)

    async def type(self, messages: Iterable[Message]) -> None:
        """Send events as fast as the server takes them, and wait for what answers them."""
        for message in messages:
            await self.send(message, time.monotonic())
        await self.answered()

    async def answered(self) -> None:
        """Wait until all that was sent has its complete answer."""
        if self._due:
            waiting = asyncio.create_task(self._nothing_due.wait())
            await asyncio.wait({waiting, self._reader}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if self._reader.done():
                await self._reader

    async def close(self) -> None:
        self._reader.cancel()
        self._call.cancel()
        await asyncio.wait({self._reader})

    async def _take_answers(self) -> None:
        while True:
            response = await self._read()
            match response.WhichOneof("response"):
                case "flush_result":
                    self._waits.flush.append(time.monotonic() - self._due[response.flush_result.seq])
                    self._settle(response.flush_result.seq)
                case "generation_started":
                    self._waits.first_token.append(time.monotonic() - self._due[response.generation_started.seq])
                case "generation_finished":
                    self._settle(response.generation_finished.seq)

    def _settle(self, seq: int) -> None:
        del self._due[seq]
        if not self._due:
            self._nothing_due.set()

    async def _read(self) -> pb.ComposeResponse:
        data = await self._call.read()
        if not isinstance(data, bytes):
            raise UnexpectedAnswer(f"the stream ended: {await self._call.code()}")
        response = pb.ComposeResponse.FromString(data)
        if response.HasField("session_error"):
            raise UnexpectedAnswer(response.session_error.message)
        return response


class Typists:
    """Streams to one server, spread over connections; all that they measure is in `waits`."""

    def __init__(self, channels: "Channels") -> None:
        self.streams: list[Stream] = []
        self.waits = Waits()
        self._channels = channels

    async def open(self, system_prompts: Sequence[str]) -> None:
        """Open one more stream for each base prompt."""
        turnstile = asyncio.Semaphore(MOST_OPENING)

        async def one(system_prompt: str) -> None:
            async with turnstile:
                self.streams.append(await self.opened(system_prompt))

        await _all(one(system_prompt) for system_prompt in system_prompts)

    async def opened(self, system_prompt: str) -> Stream:
        stream = Stream(self._channels.call(), self.waits)
        await stream.open(system_prompt)
        return stream

    async def type_flat_out(self, session: list[list[Message]], seconds: float) -> int:
        """Play turns on all streams as fast as the server takes them; return how many events it took.

        Each takes at least one turn. A stream whose turns are over is closed and a new one opened in its place.
        """
        until = time.monotonic() + seconds

        async def one(position: int) -> int:
            events = 0
            while True:
                for messages in session:
                    for message in messages:
                        await self.streams[position].send(message, time.monotonic())
                    events += len(messages)
                    if time.monotonic() >= until:
                        await self.streams[position].answered()
                        return events
                await self.streams[position].answered()
                await self.streams[position].close()
                self.streams[position] = await self.opened(f"You answer typist {position}.")

        return sum(await _all(one(position) for position in range(len(self.streams))))

    async def type_on_schedule(self, parts: Sequence[tuple[list[Message], Iterable[float]]]) -> int:
        """Send each stream's messages when they are due, whatever became of those before; return how many."""

        async def one(stream: Stream, messages: list[Message], schedule: Iterable[float]) -> int:
            sent = 0
            planned = ((due, message) for message, due in zip(messages, schedule, strict=False))
            async for due, message in at_instants(planned, _until):
                self.waits.lateness.append(time.monotonic() - due)
                await stream.send(message, due)
                sent += 1
            await stream.answered()
            return sent

        return sum(await _all(one(stream, *part) for stream, part in zip(self.streams, parts, strict=True)))


class Channels:
    """Connections to one server, a new one for every `streams_per_connection` streams."""

    def __init__(self, address: str, streams_per_connection: int) -> None:
        self._address = address
        self._streams_per_connection = streams_per_connection
        self._channels: list[grpc.aio.Channel] = []
        self._calls = 0

    def call(self) -> Any:
        """Begin one stream of bytes."""
        if self._calls % self._streams_per_connection == 0:
            own = [("grpc.use_local_subchannel_pool", 1)]  # else all channels share one connection
            self._channels.append(grpc.aio.insecure_channel(self._address, own))
        self._calls += 1
        compose: Any = self._channels[-1].stream_stream(f"/{SERVICE_NAME}/Compose", None, None)
        return compose()

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()


@asynccontextmanager
async def typists_at(address: str, streams_per_connection: int = STREAMS_PER_CONNECTION) -> AsyncIterator[Typists]:
    """Have typists at a server for the time of the block; at first none has a stream."""
    channels = Channels(address, streams_per_connection)
    typists = Typists(channels)
    try:
        yield typists
    finally:
        for stream in typists.streams:
            await stream.close()
        await channels.close()


async def _until(instant: float) -> None:
    if (ahead := instant - time.monotonic()) > 0:
        await asyncio.sleep(ahead)


async def _all(works: Iterable[Any]) -> list[Any]:
    """Run all at once; the first failure ends them."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
    return [task.result() for task in tasks]


def _wire(**request: Any) -> bytes:
    return pb.ComposeRequest(**request).SerializeToString()
