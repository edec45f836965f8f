"""Stress of the service without a model: one server process on the fake engine, and typists on the bare wire.

    throughput   events a second that one server process takes, each in a message of its own, sent as fast as it takes
                 them; counted up to the last answer
    memory       growth of the server process for each stream that has opened, is warm, took its turns, and then idles
    latency      from the instant when a FLUSH or SUBMIT was due to its answer or first token: events come at scheduled
                 instants, whatever became of those before (open loop)

The typists share the machine with the server: `server` and `typists` in the tables say how many cores each kept busy.

    python -m tests.benchmarks.stress [--quick] [--json FILE]
"""

import argparse
import asyncio
import json
import platform
import random
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

import grpc
from forefill_bench.report import meta
from forefill_bench.report.spread import percentile

from tests.benchmarks.process_usage import cpu_seconds, settled_memory
from tests.benchmarks.typing_load import STREAMS_PER_CONNECTION, due_times, turns, typists_at
from tests.support.server_process import server_process

SERVER_FLAGS = ("--engine", "fake", "--max-sessions", "10000", "--log-level", "error")
TURNS_PER_SESSION = 8
LEAD_SECONDS = 0.5
"""From the making of a schedule to its first instant."""
FIRST_STREAMS = 20
"""Streams that are open before memory is first measured: what all streams share counts for none."""
TABLE = (
    "CREATE TABLE visits{0} (visit{0}_id INTEGER, patient_id INTEGER, seen_at DATE, doctor_id INTEGER, note TEXT);\n"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows to measure; seconds are those of one row."""

    throughput_streams: Sequence[int] = (1, 16, 256)
    throughput_seconds: float = 5
    memory_rows: Sequence[tuple[str, int, int]] = (  # base prompt, turns taken, streams per connection
        ("tiny", 0, STREAMS_PER_CONNECTION),
        ("tiny", 0, 1),
        ("shared", 0, STREAMS_PER_CONNECTION),
        ("own", 0, STREAMS_PER_CONNECTION),
        ("own", 1, STREAMS_PER_CONNECTION),
    )
    memory_streams: Sequence[int] = (100, 1000, 2000)
    latency_streams: Sequence[int] = (16, 256, 1000)
    latency_rates: Sequence[int] = (500, 2000, 4000, 8000)
    latency_seconds: float = 5


QUICK = Plan(
    throughput_seconds=1,
    memory_rows=(("tiny", 0, STREAMS_PER_CONNECTION), ("own", 0, STREAMS_PER_CONNECTION)),
    memory_streams=(2000,),
    latency_streams=(256,),
    latency_rates=(2000,),
    latency_seconds=2,
)


@dataclass(frozen=True, slots=True)
class Throughput:
    """Events that one server process took; `_cores` are processor seconds a second.

    `server_us_per_event`, the server's processor time, is what a core of its own would take.
    """

    streams: int
    events_per_second: float
    server_us_per_event: float
    server_cores: float
    typists_cores: float


@dataclass(frozen=True, slots=True)
class StreamMemory:
    """Growth of the server for each idle stream, in KiB."""

    base_prompt: str
    base_prompt_tokens: int
    turns: int
    streams_per_connection: int
    streams: int
    uss_kib_per_stream: float
    rss_kib_per_stream: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Waits of one load, in milliseconds from the instant when an event was due; `late` is the generator's share."""

    streams: int
    offered_events_per_second: int
    taken_events_per_second: float
    flushes: int
    flush_ms: dict[str, float]
    submits: int
    first_token_ms: dict[str, float]
    late_ms: dict[str, float]
    server_cores: float
    typists_cores: float


Row = Throughput | StreamMemory | Latency


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return the 50th, 95th and 99th percentile of some times, in milliseconds."""
    if not seconds:
        return {}
    return {f"p{percent}": round(percentile(seconds, percent / 100) * 1000, 2) for percent in (50, 95, 99)}


def base_prompts(kind: str, first: int, count: int) -> list[str]:
    """Return system prompts: "tiny", "shared" (about 1,200 tokens, all the same) or "own" (as long, all different)."""
    if kind == "tiny":
        return ["You answer questions."] * count
    return ["".join(TABLE.format(n if kind == "own" else 0) for _ in range(54)) for n in range(first, first + count)]


class Stopwatch:
    """Wall and processor time of the server and of this process since it was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = time.monotonic(), cpu_seconds(pid), time.process_time()

    def read(self) -> tuple[float, float, float]:
        """Return the seconds, and the cores that the server and this process kept busy."""
        seconds = time.monotonic() - self._began[0]
        server, typists = cpu_seconds(self._pid) - self._began[1], time.process_time() - self._began[2]
        return seconds, round(server / seconds, 2), round(typists / seconds, 2)


async def measure_throughput(address: str, pid: int, streams: int, seconds: float) -> Throughput:
    """Type flat out on `streams` streams for at least `seconds`."""
    async with typists_at(address) as typists:
        await typists.open([f"You answer typist {n}." for n in range(streams)])
        watch = Stopwatch(pid)
        events = await typists.type_flat_out(turns(TURNS_PER_SESSION), seconds)
        elapsed, server_cores, typists_cores = watch.read()
        server_us = round(server_cores * elapsed / events * 1e6, 1)
        return Throughput(streams, round(events / elapsed), server_us, server_cores, typists_cores)


async def measure_memory(
    address: str, pid: int, row: tuple[str, int, int], streams: Sequence[int]
) -> list[StreamMemory]:
    """Open ever more streams, let each take its turns, then idle; the server must be fresh."""
    kind, turns_taken, streams_per_connection = row
    messages = list(chain(*turns(turns_taken)))
    rows = []
    async with typists_at(address, streams_per_connection) as typists:

        async def idle(count: int) -> None:
            opened = len(typists.streams)
            await typists.open(base_prompts(kind, opened, count - opened))
            for stream in typists.streams[opened:]:
                await stream.type(messages)

        await idle(FIRST_STREAMS)
        before = await settled_memory(pid)
        for count in streams:
            await idle(count)
            now, more = await settled_memory(pid), count - FIRST_STREAMS
            uss, rss = (now.uss_kib - before.uss_kib) / more, (now.rss_kib - before.rss_kib) / more
            tokens = typists.streams[0].base_prompt_tokens
            rows.append(
                StreamMemory(kind, tokens, turns_taken, streams_per_connection, count, round(uss, 1), round(rss, 1))
            )
    return rows


async def measure_latency(address: str, pid: int, streams: int, rate: int, seconds: float) -> Latency:
    """Type at scheduled instants: a Poisson process on each stream, which together have this rate.

    When the schedule begins, each stream is somewhere in its first turn.
    """
    draw = random.Random(f"{streams} {rate}")
    stream_rate = rate / streams
    events_per_turn = len(turns(1)[0])
    messages = list(chain(*turns(2 + int(2 * stream_rate * seconds / events_per_turn))))

    def schedule(start: float) -> Iterator[float]:
        due = due_times(start, stream_rate, iter(lambda: draw.expovariate(1), None))
        return takewhile(lambda instant: instant < start + seconds, due)

    async with typists_at(address) as typists:
        await typists.open([f"You answer typist {n}." for n in range(streams)])
        begun = [draw.randrange(events_per_turn) for _ in range(streams)]
        for stream, count in zip(typists.streams, begun, strict=True):
            await stream.type(messages[:count])
        typists.waits.clear()
        watch, start = Stopwatch(pid), time.monotonic() + LEAD_SECONDS
        events = await typists.type_on_schedule([(messages[count:], schedule(start)) for count in begun])
        elapsed, *cores = watch.read()
        waits = typists.waits
        return Latency(
            streams,
            rate,
            round(events / (elapsed - LEAD_SECONDS)),
            len(waits.flush),
            percentiles_ms(waits.flush),
            len(waits.first_token),
            percentiles_ms(waits.first_token),
            percentiles_ms(waits.lateness),
            *cores,
        )


async def measure(plan: Plan) -> dict[str, list[Row]]:
    """Measure all that is planned, a fresh server process for each part."""
    results: dict[str, list[Row]] = {"throughput": [], "memory": [], "latency": []}

    def found(part: str, *rows: Row) -> None:
        for row in rows:
            if not results[part]:
                print(f"\n{part}\n" + heading(row))
            results[part].append(row)
            print(line(row), flush=True)

    async with server_process(*SERVER_FLAGS) as server:
        await server.listening()
        for streams in plan.throughput_streams:
            found("throughput", await measure_throughput(server.address, server.pid, streams, plan.throughput_seconds))
    for row in plan.memory_rows:
        async with server_process(*SERVER_FLAGS) as server:
            await server.listening()
            found("memory", *await measure_memory(server.address, server.pid, row, plan.memory_streams))
    async with server_process(*SERVER_FLAGS) as server:
        await server.listening()
        for streams in plan.latency_streams:
            for rate in plan.latency_rates:
                at_load = (server.address, server.pid, streams, rate)
                found("latency", await measure_latency(*at_load, plan.latency_seconds))
    return results


def heading(row: Row) -> str:
    """Return the names of a row's columns."""
    return "  ".join(_titles(row))


def line(row: Row) -> str:
    """Return a row as a line under its heading."""
    cells = (_cell(value) for value in asdict(row).values())
    return "  ".join(cell.rjust(len(title)) for title, cell in zip(_titles(row), cells, strict=True))


def _titles(row: Row) -> list[str]:
    return [
        name.replace("_", " ") + (f", {'/'.join(value)}" if isinstance(value, dict) else "")
        for name, value in asdict(row).items()
    ]


def _cell(value: Any) -> str:
    return " ".join(f"{part:.2f}" for part in value.values()) if isinstance(value, dict) else f"{value}"


def machine() -> dict[str, Any]:
    """Return the hardware and versions that the figures depend on."""
    hardware = meta.hardware()
    return {
        "processor": hardware["cpu"],
        "cores": hardware["cores"],
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
    }


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.stress", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rows: about 25 s in place of 3 minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    arguments = parser.parse_args()
    # Every connection is an open file, in the server too, which inherits the limit.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    results = asyncio.run(measure(QUICK if arguments.quick else Plan()))
    if arguments.json:
        rows = {part: [asdict(row) for row in found] for part, found in results.items()}
        arguments.json.write_text(json.dumps({"meta": about, **rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
