"""Overload: ten times more streams than a server may have, for a minute.

The server, the typists that it has admitted, and the crowd that it has no room for are processes of their own. The
typists type on a schedule, first alone, then beside the crowd; each of the crowd tries to open, and once refused tries
again when the server says (RetryInfo), at a random moment within as long again.

    admitted     from when a FLUSH or SUBMIT was due to its answer or first token
    refused      from the call to the end of the stream, with its reason

    python -m tests.benchmarks.overload [--seconds N] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.benchmarks.cut_streams import call_on
from tests.benchmarks.process_usage import cpu_seconds
from tests.benchmarks.stress import machine, percentiles_ms
from tests.benchmarks.typing_load import Message, Typists, due_times, turns, typists_at
from tests.support.server_process import server_process

ADMITTED = 20
CROWD = 10 * ADMITTED
CROWD_PROCESSES = 2
EVENTS_PER_SECOND = 8.0
"""Of each typist: twice as fast as people type."""
SECONDS = 60.0
LEAD_SECONDS = 1.0
START_SECONDS = 30
SERVER_FLAGS = ("--engine", "fake", "--log-level", "error")
"""Its engine takes no time, so all waits are the service's."""
STREAMS_PER_CHANNEL = 20


@dataclass(frozen=True, slots=True)
class Admitted:
    """Waits of the typists that the server has room for, in milliseconds, and processor seconds a second."""

    crowd: int
    flushes: int
    flush_ms: dict[str, float]
    submits: int
    first_token_ms: dict[str, float]
    late_ms: dict[str, float]
    server_cores: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Streams of the crowd by how they ended, and how long that took, in milliseconds."""

    streams: int
    reasons: dict[str, int]
    refusal_ms: dict[str, float]
    longest_ms: float


async def typed(typists: Typists, parts: Sequence[list[Message]], seconds: float, pid: int, crowd: int) -> Admitted:
    """Have all typists type their part on schedule."""
    typists.waits.clear()
    draw, start = random.Random(crowd), time.monotonic() + LEAD_SECONDS
    began = cpu_seconds(pid)

    def schedule(count: int) -> list[float]:
        return list(due_times(start, EVENTS_PER_SECOND, (draw.expovariate(1) for _ in range(count))))

    await typists.type_on_schedule([(part, schedule(len(part))) for part in parts])
    waits = typists.waits
    return Admitted(
        crowd,
        len(waits.flush),
        percentiles_ms(waits.flush),
        len(waits.first_token),
        percentiles_ms(waits.first_token),
        percentiles_ms(waits.lateness),
        round((cpu_seconds(pid) - began) / seconds, 2),
    )


async def measure(
    seconds: float, *, admitted: int = ADMITTED, crowd: int = CROWD
) -> tuple[Admitted, Admitted, Refused]:
    """Return what the typists waited alone and beside the crowd, and what became of the crowd."""
    events = int(EVENTS_PER_SECOND * seconds)
    flags = (*SERVER_FLAGS, "--max-sessions", str(admitted))
    async with server_process(*flags) as server, typists_at(await _address(server)) as typists:
        await typists.open([f"You answer typist {number}." for number in range(admitted)])
        messages = list(chain(*turns(1 + 2 * events // len(turns(1)[0]))))
        alone = await typed(typists, [messages[:events]] * admitted, seconds, server.pid, 0)
        async with _Crowd(server.address, crowd, seconds + LEAD_SECONDS) as running:
            beside = await typed(typists, [messages[events : 2 * events]] * admitted, seconds, server.pid, crowd)
            refused = await running.ended()
    return alone, beside, refused


async def _address(server: Any) -> str:
    await server.listening()
    return str(server.address)


class _Crowd:
    """The processes of the crowd."""

    def __init__(self, address: str, clients: int, seconds: float) -> None:
        self._flags = ("--crowd-of", str(clients // CROWD_PROCESSES), "--address", address, "--seconds", str(seconds))
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> "_Crowd":
        for _ in range(CROWD_PROCESSES):
            self._processes.append(
                await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-m", "tests.benchmarks.overload", *self._flags),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                )
            )
        async with asyncio.timeout(START_SECONDS):
            for process in self._processes:
                assert process.stdout is not None
                assert await process.stdout.readline() == b"begun\n"
        return self

    async def ended(self) -> Refused:
        outputs = [(await process.communicate())[0] for process in self._processes]
        found = [json.loads(output) for output in outputs]
        seconds = [wait for one in found for wait in one["seconds"]]
        reasons = Counter(reason for one in found for reason in one["reasons"])
        return Refused(len(seconds), dict(reasons), percentiles_ms(seconds), round(max(seconds) * 1000, 1))

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def be_a_crowd(address: str, clients: int, seconds: float) -> tuple[list[float], list[str]]:
    """Try to open streams, again and again; return how long each took to end, and why it ended."""
    waits, reasons, draw = list[float](), list[str](), random.Random(os.getpid())
    until = time.monotonic() + seconds
    own = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, own) for _ in range(1 + clients // STREAMS_PER_CHANNEL)]

    async def one(number: int) -> None:
        await asyncio.sleep(draw.random())
        while time.monotonic() < until:
            began = time.monotonic()
            reason, retry_seconds = await _tried(channels[number % len(channels)])
            waits.append(time.monotonic() - began)
            reasons.append(reason)
            await asyncio.sleep(retry_seconds * draw.uniform(1, 2))

    print("begun", flush=True)
    await asyncio.gather(*map(one, range(clients)))
    for channel in channels:
        await channel.close()
    return waits, reasons


async def _tried(channel: grpc.aio.Channel) -> tuple[str, float]:
    """Begin a stream; return how it ended, and after how many seconds to try again.

    Nothing is sent: a stream that ends while a message is being sent may end with gRPC's own INTERNAL for its client.
    """
    call = call_on(channel)
    with suppress(grpc.aio.AioRpcError):
        async with asyncio.timeout(START_SECONDS):
            await call.read()
    code = await call.code()
    status = await rpc_status.aio.from_call(call)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in () if status is None else status.details:
        detail.Unpack(info)
        detail.Unpack(retry)
    return f"{code.name} {info.reason}", retry.retry_delay.ToNanoseconds() / 1e9 or 1.0


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.overload", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="how long the typists type, alone and in the crowd"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    parser.add_argument("--crowd-of", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--address", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.crowd_of:
        seconds, reasons = asyncio.run(be_a_crowd(arguments.address, arguments.crowd_of, arguments.seconds))
        print(json.dumps({"seconds": seconds, "reasons": reasons}))
        return 0
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    rows = asyncio.run(measure(arguments.seconds))
    for row in rows:
        print(row)
    if arguments.json:
        alone, beside, refused = [asdict(row) for row in rows]
        figures = {"meta": machine(), "alone": alone, "beside": beside, "refused": refused}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
