"""Soak: thousands of streams opened and cut in every way (`cut_streams`), and what is left of them.

process      a forefill-server on the fake engine: memory, open files, threads and metrics after each thousand. In
             the end its memory is within 10 % of what it was after the first thousand.
in process   a server in this process: its tasks, streams, sessions, and requests in the engine, back to none

python -m tests.benchmarks.soak [--streams N] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import sys
import time
import urllib.request
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from forefill_service.engine import FakeEngine, FakeSpeed, Output, Request
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings
from prometheus_client.parser import text_string_to_metric_families

from tests.benchmarks.cut_streams import cut_streams
from tests.benchmarks.process_usage import settled_memory
from tests.benchmarks.stress import machine
from tests.support.server_process import server_process

STREAMS = 10_000
PART = 1000
MOST_GROWTH = 0.10
ANSWER_TOKENS, DECODE_SPEED = 40, 1000
SETTINGS: dict[str, Any] = {
    "max_sessions": 10_000,
    "warm_pause_ms": 20,
    "hand_off_url": ["http://127.0.0.1:9"],
}
SERVER_FLAGS = (
    *("--engine", "fake", "--fake-answer-tokens", str(ANSWER_TOKENS), "--fake-decode-speed", str(DECODE_SPEED)),
    *("--max-sessions", "10000", "--warm-pause-ms", "20", "--hand-off-url", "http://127.0.0.1:9"),
)
SECONDS_TO_REST = 30


@dataclass(frozen=True, slots=True)
class After:
    """The server process after so many streams; `sessions` and `speculative` are its metrics."""

    streams: int
    seconds: float
    rss_mib: float
    files: int
    threads: int
    sessions: int
    speculative: int


@dataclass(frozen=True, slots=True)
class Left:
    """What a server in this process has; of all but `tasks` nothing may be left of streams that are over."""

    tasks: int
    streams: int = 0
    sessions: int = 0
    requests: int = 0
    permits: int = 0
    waiting: int = 0

    @property
    def nothing(self) -> bool:
        return not any((self.streams, self.sessions, self.requests, self.permits, self.waiting))


class CountingEngine(FakeEngine):
    """Counts the requests that run."""

    running = 0

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        self.running += 1
        try:
            async with aclosing(super().generate(request)) as outputs:
                async for output in outputs:
                    yield output
        finally:
            self.running -= 1


async def soak_a_process(streams: int, part: int = PART) -> list[After]:
    """Return the state of a server process after each part of so many streams."""
    found = list[After]()
    async with server_process(*SERVER_FLAGS) as server:
        await server.listening()
        metrics = await server.metrics_address()
        began = time.monotonic()
        for done in range(part, streams + 1, part):
            await cut_streams(server.address, part)
            memory = await settled_memory(server.pid)
            sessions, speculative = await asyncio.to_thread(_gauges, metrics)
            process = Path(f"/proc/{server.pid}")
            found.append(
                After(
                    done,
                    round(time.monotonic() - began, 1),
                    round(memory.rss_kib / 1024, 1),
                    len(os.listdir(process / "fd")),
                    len(os.listdir(process / "task")),
                    sessions,
                    speculative,
                )
            )
            print(found[-1], flush=True)
    return found


async def soak_in_process(streams: int) -> tuple[Left, Left]:
    """Return what a server in this process has before so many streams, and after."""
    engine = CountingEngine(answer_tokens=ANSWER_TOKENS, speed=FakeSpeed(decode=DECODE_SPEED), keep_requests=False)
    async with running_server([engine], Settings(port=0, metrics_port=-1, go_away_seconds=0, **SETTINGS)) as server:
        await cut_streams(server.address, 50)  # what is made once is there then
        before = await _at_rest(server, engine, None)
        await cut_streams(server.address, streams)
        return before, await _at_rest(server, engine, before.tasks)


def is_well(found: Sequence[After]) -> bool:
    """Whether the process has let go of everything, and its memory has stopped growing after the first part."""
    first, last = found[0], found[-1]
    most = round(first.rss_mib * (1 + MOST_GROWTH), 1)
    return last.rss_mib <= most and last.files <= first.files + 2 and not (last.sessions or last.speculative)


def _left(server: RunningServer, engine: CountingEngine) -> Left:
    admissions = [replica.admission for replica in server.backend.replicas.all]
    return Left(
        len(asyncio.all_tasks()),
        server.servicer.streams,
        server.servicer.sessions,
        engine.running,
        sum(admission.speculative + admission.generations for admission in admissions),
        sum(admission.waiting for admission in admissions),
    )


async def _at_rest(server: RunningServer, engine: CountingEngine, tasks: int | None) -> Left:
    """Wait until nothing of the streams is left, or for as long as that may take; return what is left."""
    until = time.monotonic() + SECONDS_TO_REST
    while not (left := _left(server, engine)).nothing or (tasks is not None and left.tasks > tasks):
        if time.monotonic() > until:
            break
        await asyncio.sleep(0.05)
    return left


def _gauges(address: str) -> tuple[int, int]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    values = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    return int(values["forefill_sessions"]), int(values["forefill_speculative_requests"])


def main() -> int:
    """Run the command; return 1 if anything is left."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--streams", type=int, default=STREAMS, help="streams to open in each of the two servers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    arguments = parser.parse_args()
    part = min(PART, arguments.streams)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    found = asyncio.run(soak_a_process(arguments.streams, part))
    before, after = asyncio.run(soak_in_process(arguments.streams))
    print(f"before {before}\nafter  {after}")
    if arguments.json:
        rows = {"process": [asdict(row) for row in found], "before": asdict(before), "after": asdict(after)}
        arguments.json.write_text(json.dumps({"meta": machine(), **rows}, indent=2) + "\n")
    well = is_well(found) and after.nothing and after.tasks <= before.tasks
    print("nothing is left" if well else "something is left, or memory has grown by more than a tenth")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
