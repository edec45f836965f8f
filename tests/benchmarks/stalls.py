"""How long the event loop of a server stands still for one client's messages, as large and as odd as they can be.

A server process on the fake engine renders with the real tokenizer and template of the packaged model. Its heartbeat is
a task that sleeps for a millisecond at a time; what it sleeps longer is a stall, and every other stream waits for it.
Beside each attack another user types and flushes, twenty times a second.

    stall       the longest one from the beginning of the attack to its end, in milliseconds
    flush       what the other user waited for a FlushResult, median and longest, in milliseconds
    held        growth of the server's memory for each stream of the attack while they are open and idle, in KiB

The attacker, the other user and the server share the machine, so all times are upper bounds.

    python -m tests.benchmarks.stalls [--only TEXT] [--json FILE]
"""

import argparse
import asyncio
import json
import sys
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb

from tests.benchmarks.process_usage import settled_memory
from tests.benchmarks.stress import machine
from tests.support.wire import typing_at

CONTEXT_TOKENS = 8192
BEAT_SECONDS = 0.001
FLUSH_EVERY_SECONDS = 0.05
FLOOD_SECONDS = 5
SECONDS_TO_GIVE_UP = 60
LARGEST_OPEN = 262_000
"""A bit less than the largest Open that is taken of a model with this context."""
DRAFT = 65_536
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]

# --- the server


async def serve() -> None:
    """Serve, and answer each line of standard input with the longest stall since the last one."""
    from forefill_service.chat.template import HfChat
    from forefill_service.engine import FakeEngine
    from forefill_service.engine.fake.chat_endpoint import FakeChatEndpoint
    from forefill_service.engine.packaged_model import packaged_model_path
    from forefill_service.engine.template_variables import variables_of
    from forefill_service.fleet.interpreter import shorten_pauses
    from forefill_service.server import running_server
    from forefill_service.settings import Flags, Settings
    from transformers import AutoTokenizer

    class OnAThread(FakeChatEndpoint):
        """Renders on a thread, as the endpoint of an embedded engine does."""

        async def ids(self, conversation: Any) -> list[int] | None:
            return await asyncio.to_thread(self._rendered, conversation)

    tokenizer = AutoTokenizer.from_pretrained(packaged_model_path())
    template = tokenizer.get_chat_template()
    chat = HfChat(tokenizer, template, "string", variables_of(template))
    engine = FakeEngine(context_tokens=CONTEXT_TOKENS, keep_requests=False)
    engine.chat = chat  # type: ignore[assignment]
    engine.chat_endpoint = OnAThread(engine, chat, keep=False)
    stalls = [0.0]

    async def beat() -> None:
        loop = asyncio.get_running_loop()
        while True:
            slept_from = loop.time()
            await asyncio.sleep(BEAT_SECONDS)
            stalls[0] = max(stalls[0], loop.time() - slept_from - BEAT_SECONDS)

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ports = {name: -1 for name in ("metrics_port", "health_port") if name in Flags.model_fields}
    async with running_server([engine], Settings(port=0, go_away_seconds=0, **ports)) as server:
        shorten_pauses()  # as `serve` does
        beating = asyncio.create_task(beat())
        print(server.address, flush=True)
        while await reader.readline():
            print(round(1000 * stalls[0], 1), flush=True)
            stalls[0] = 0.0
        beating.cancel()


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    process: asyncio.subprocess.Process
    address: str

    async def longest_stall(self) -> float:
        """Return the longest stall since this was last asked for, in milliseconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        return float(await self.process.stdout.readline())

    async def memory_kib(self) -> int:
        """Return its memory once that has settled."""
        return (await settled_memory(self.process.pid)).uss_kib


@asynccontextmanager
async def a_server() -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.stalls", "--serve"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield Server(process, (await process.stdout.readline()).decode().strip())
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


# --- the attacks


def opening(*parts: bytes) -> bytes:
    """Return an Open, as bytes, with these fields of it: no client's own protobuf has to make a million objects."""
    return _field(pb.ComposeRequest.DESCRIPTOR.fields_by_name["open"].number, b"".join(parts))


def said(text: str) -> bytes:
    """Return one message, as a part of Open."""
    return pb.Open(messages=[pb.ChatMessage(role="system", content=text)]).SerializeToString()


def variables(value: bytes, size: int) -> bytes:
    """Return template variables that are a list of this value, as a part of Open, of about so many bytes."""
    values = _field(1, value) * (size // (len(value) + 2))
    listed = _field(6, values)
    return _field(
        pb.Open.DESCRIPTOR.fields_by_name["chat_template_kwargs"].number, _field(1, _field(1, b"x") + _field(2, listed))
    )


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    rest, seven = divmod(number, 128)
    return bytes([seven | 128]) + _varint(rest) if rest else bytes([seven])


def filled(text: str, size: int) -> str:
    """Return this text again and again, of so many bytes."""
    return (text * (size // len(text.encode()) + 1)).encode()[:size].decode(errors="ignore")


EMPTY_LIST, EMPTY_OBJECT = b"\x32\x00", b"\x2a\x00"
A_MESSAGE = _field(1, _field(1, b"u"))
TOOL = '{{"type": "function", "function": {{"name": "a", "parameters": {{"enum": [{}]}}}}}}'
ODD = "".join(map(chr, range(0xAC00, 0xD7A4)))
LETTERS = "".join(chr(code) for code in range(0x100, 0x24F) if chr(code).isalpha())
WORDS = "the patients that were seen by a doctor in May, and why "


class Attacker:
    """One client that opens streams and keeps them; `became` is what came of each, by its name."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, OPTIONS)
        self._compose: Any = self._channel.stream_stream(
            "/forefill.v1.KeystrokeService/Compose", response_deserializer=pb.ComposeResponse.FromString
        )
        self.became: set[str] = set()
        self.streams: list[Any] = []

    async def open(self, message: bytes) -> Any:
        """Open a stream; return it once it has an answer to that, None if it ended instead."""
        call = self._compose()
        try:
            await call.write(message)
            response = await call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            response = grpc.aio.EOF
        if isinstance(response, pb.ComposeResponse):
            self.became.add(response.WhichOneof("response") or "")
            self.streams.append(call)
            return call
        plain = dict(await call.trailing_metadata() or ())
        self.became.add(str(plain.get("forefill-error-reason") or f"{(await call.code()).name}, no reason"))
        return None

    async def open_many(self, message: bytes, times: int = 1) -> None:
        await asyncio.gather(*(self.open(message) for _ in range(times)))

    async def open_and_cancel(self, message: bytes, times: int, seconds: float) -> None:
        for _ in range(times):
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.open(message)

    async def flood(self, text: str, streams: int, every: float, *events: Callable[[], pb.KeystrokeEvent]) -> None:
        """On each of some streams, type a text, then send these events again and again, FLUSH by default."""
        checksum = zlib.crc32(text.encode())

        async def one() -> None:
            if (call := await self.open(opening())) is None:
                return
            seq, until = 1, time.monotonic() + FLOOD_SECONDS
            reading = asyncio.create_task(self._read(call))
            try:
                await self._send(call, pb.KeystrokeEvent(seq=1, char_add=pb.CharAdd(text=text)))
                while time.monotonic() < until:
                    for make in events or (_flush(len(text), checksum),):
                        seq += 1
                        event = make()
                        event.seq = seq
                        await self._send(call, event)
                    await asyncio.sleep(every)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                self.became.add("ended")
            reading.cancel()

        await asyncio.gather(*(one() for _ in range(streams)))

    async def _read(self, call: Any) -> None:
        while isinstance(response := await call.read(), pb.ComposeResponse):
            kind = response.WhichOneof("response")
            if kind == "flush_result":
                self.became.add(pb.FlushOutcome.Name(response.flush_result.outcome).removeprefix("FLUSH_OUTCOME_"))
            elif kind == "session_error":
                reason = pb.ErrorReason.Name(response.session_error.reason)
                self.became.add(reason.removeprefix("ERROR_REASON_"))

    async def _send(self, call: Any, event: pb.KeystrokeEvent) -> None:
        await call.write(pb.ComposeRequest(event=event).SerializeToString())

    async def close(self) -> None:
        await self._channel.close()


def _flush(code_points: int, crc32: int) -> Callable[[], pb.KeystrokeEvent]:
    return lambda: pb.KeystrokeEvent(flush=pb.Flush(draft_code_points=code_points, draft_crc32=crc32))


def _paste(text: str) -> Callable[[], pb.KeystrokeEvent]:
    return lambda: pb.KeystrokeEvent(replace=pb.Replace(start=0, end=1, text=text))


def _rewrite(messages: int) -> Callable[[], pb.KeystrokeEvent]:
    said = [pb.ChatMessage(role="u")] * messages
    return lambda: pb.KeystrokeEvent(rewrite=pb.Rewrite(messages=said))


Attack = Callable[[Attacker], Awaitable[None]]


def opens(*parts: bytes, times: int = 1) -> Attack:
    message = opening(*parts)
    return lambda attacker: attacker.open_many(message, times)


def floods(text: str, streams: int, every: float = 0.1, *events: Callable[[], pb.KeystrokeEvent]) -> Attack:
    return lambda attacker: attacker.flood(text, streams, every, *events)


def stops(texts: int, size: int) -> bytes:
    return pb.Open(sampling=pb.Sampling(stop=[filled("x", size)] * texts)).SerializeToString()


def tool(values: str, size: int) -> bytes:
    return pb.Open(
        tools=[TOOL.format(filled(values, size // len(values) * len(values)).rstrip(","))]
    ).SerializeToString()


MB4 = 4 * 1024 * 1024 - 200
ATTACKS: dict[str, Attack] = {
    "A1: Open of 800,000 messages, 4 MB": opens(A_MESSAGE * 800_000),
    "A1: Open of 4 MB of spaces": opens(said(" " * MB4)),
    "A1: of 4 MB of combining marks": opens(said(filled("\u0301", MB4))),
    'A1: of 4 MB of "a"': opens(said("a" * MB4)),
    "A1: of 4 MB of words": opens(said(filled(WORDS, MB4))),
    "A1: 3 Opens of 60,000 messages each": opens(A_MESSAGE * 60_000, times=3),
    "A1: 6 such, each cancelled after 0.5 s": lambda it: it.open_and_cancel(opening(A_MESSAGE * 60_000), 6, 0.5),
    "the largest Open: messages": opens(A_MESSAGE * (LARGEST_OPEN // 5)),
    "the largest Open: 16,000 messages": opens(A_MESSAGE * 16_000),
    'the largest Open: "a"': opens(said("a" * LARGEST_OPEN)),
    "the largest Open: spaces": opens(said(" " * LARGEST_OPEN)),
    "the largest Open: combining marks": opens(said(filled("\u0301", LARGEST_OPEN))),
    "the largest Open: words": opens(said(filled(WORDS, LARGEST_OPEN))),
    "the largest Open: words, 20 at once": opens(said(filled(WORDS, LARGEST_OPEN)), times=20),
    "an Open that is taken, of 7,000 tokens, 20 at once": opens(said(filled(WORDS, 30_000)), times=20),
    "A2: variables of 1,000,000 empty lists, 4 MB": opens(variables(EMPTY_LIST, 4_000_000)),
    "A2: of 690,000 empty objects, 2.8 MB": opens(variables(EMPTY_OBJECT, 2_760_000)),
    "A2: of 16,000 empty objects, 64 KB, 8 streams": opens(variables(EMPTY_OBJECT, 64_000), times=8),
    "A2: of 1,000 empty objects, 4 KB, 8 streams": opens(variables(EMPTY_OBJECT, 4_050), times=8),
    "a tool of 85,000 empty objects, 250 KB, 8 streams": opens(tool("{},", 250_000), times=8),
    "A7: FLUSHes of 65,536 odd letters, 1 stream": floods(filled(ODD, 3 * DRAFT), 1, 0.02),
    "A7: the same, 20 streams": floods(filled(ODD, 3 * DRAFT), 20, 0.02),
    "A7: 10 FLUSHes a second of 65,536 emoji, 2 streams": floods("\N{GRINNING FACE}" * DRAFT, 2),
    "A7: the same of words": floods(filled(WORDS, DRAFT), 2),
    "10 edits and FLUSHes a second at the beginning of 30,000 letters, 2 streams": floods(
        filled(WORDS, 30_000),
        2,
        0.1,
        _paste("x"),
        _flush(30_000, zlib.crc32(("x" + filled(WORDS, 30_000)[1:]).encode())),
    ),
    "pastes of 60,000 letters with accents, 10 a second, 2 streams": floods(
        "x",
        2,
        0.1,
        _paste(filled(LETTERS, 2 * 60_000)),
        lambda: pb.KeystrokeEvent(char_delete=pb.CharDelete(count=DRAFT)),
    ),
    "Rewrites of 16,000 messages, 5 a second, 2 streams": floods("x", 2, 0.2, _rewrite(16_000)),
    "A24: 16 stop texts of 250 KB": opens(stops(16, 250_000)),
}


# --- measuring


@dataclass(frozen=True, slots=True)
class Row:
    """What one attack did; times in milliseconds, memory in KiB."""

    attack: str
    became: str
    seconds: float
    stall_ms: float
    flush_ms: tuple[float, float]
    held_kib: int


@dataclass(eq=False, slots=True)
class OtherUser:
    """Somebody who types a word and flushes, again and again."""

    waits: list[float] = field(default_factory=list)

    async def type(self, address: str) -> None:
        async with typing_at(address, [("system", "You answer questions.")]) as typist:
            while True:
                await typist.type("word ")
                if len(typist.draft) > 2000:
                    await typist.delete(1900)
                began = time.monotonic()
                await typist.flush()
                self.waits.append(1000 * (time.monotonic() - began))
                await asyncio.sleep(FLUSH_EVERY_SECONDS)


async def measure(name: str, attack: Attack) -> Row:
    """Run one attack on a fresh server."""
    async with a_server() as server:
        other = OtherUser()
        typing = asyncio.create_task(other.type(server.address))
        while len(other.waits) < 20:  # noqa: ASYNC110
            await asyncio.sleep(FLUSH_EVERY_SECONDS)
        await grown(server)
        before = await server.memory_kib()
        other.waits.clear()
        await server.longest_stall()
        attacker, began = Attacker(server.address), time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_TO_GIVE_UP):
                await attack(attacker)
        seconds = time.monotonic() - began
        stall = await server.longest_stall()
        waits = [round(wait, 1) for wait in (median(other.waits or [0]), max(other.waits, default=0))]
        streams = max(1, len(attacker.streams))
        held = (await server.memory_kib() - before) // streams
        typing.cancel()
        await asyncio.wait({typing})
        await attacker.close()
        return Row(name, ", ".join(sorted(attacker.became)), round(seconds, 2), stall, (waits[0], waits[1]), held)


async def grown(server: Server) -> None:
    """Have the server's threads, caches and heap grow to what ordinary sessions need."""
    for _ in range(2):
        user = Attacker(server.address)
        await user.open_many(opening(said(filled(WORDS, 30_000))), 10)
        await user.close()


async def measure_all(only: str) -> list[Row]:
    rows = []
    print("| attack | what became of it | took, s | stall, ms | flush, ms: median / longest | held, KiB a stream |")
    print("|---|---|---|---|---|---|")
    for name, attack in ATTACKS.items():
        if only in name:
            rows.append(row := await measure(name, attack))
            flush = " / ".join(f"{wait:.0f}" for wait in row.flush_ms)
            print(
                f"| {name} | {row.became} | {row.seconds:g} | {row.stall_ms:.0f} | {flush} | {row.held_kib:,} |",
                flush=True,
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.stalls", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only attacks whose name holds this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        asyncio.run(serve())
        return 0
    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()) + "\n")
    rows = asyncio.run(measure_all(given.only))
    if given.json:
        given.json.write_text(json.dumps({"meta": about, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
