"""How much of a prompt is computed when Enter is pressed, script by script: real vLLM, the packaged model.

Every text is typed key by key at its own time by the SDK, whose rule decides when to flush, behind a system prompt that
no other session has. Two ways:

    typed     pre-generation is off, and Enter is the next key: tokens of the prompt that were not found cached, and
              the wait for the first token
    paused    pre-generation as by default, and a pause before Enter: how many answers were begun before Enter and
              adopted, and the wait

`bar` is one block and 8 tokens more: what cannot be cached (the last part of a block, and the template's own tokens
after the draft), and a little.

    python tests/benchmarks/at_enter.py [--ms-per-key 60] [--rounds 3] [--target HOST:PORT] [--json FILE]
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from forefill_client import AsyncClient, GenerationSource, PregenerationMode, Report, Sampling
from forefill_client.local_server import local_server

TEXTS: Final = {
    "English": (
        "Show me all patients that were admitted to cardiology last week, by date of admission",
        "Why does my query not return the rows whose date of discharge is empty",
    ),
    "Chinese": ("请显示上周住进心内科的所有病人，并按入院日期排序", "为什么我的查询没有返回出院日期为空的记录"),
    "Japanese": (
        "先週循環器内科に入院したすべての患者を入院日の順に表示してください",
        "各階の空いているベッドの数を表にまとめてもらえますか",
    ),
    "Thai": (
        "แสดงผู้ป่วยทั้งหมดที่เข้ารักษาในแผนกหัวใจเมื่อสัปดาห์ที่แล้ว",
        "แต่ละชั้นมีเตียงว่างกี่เตียงช่วยสรุปเป็นตารางให้หน่อย",
    ),
    "Khmer": ("បង្ហាញអ្នកជំងឺទាំងអស់ដែលបានចូលសម្រាកពេទ្យកាលពីសប្តាហ៍មុន", "តើមានគ្រែទំនេរប៉ុន្មាននៅជាន់នីមួយៗ"),
    "URL": (
        "https://example.org/clinic/v2/patients?ward=cardiology&admitted_after=2026-01-01&sort=admitted_at",
        "http://localhost:8000/v1/models?x=1&y=2#section-4.2",
    ),
    "JSON": (
        '{"ward": {"id": 17, "tags": ["a", "b"]}, "open": true, "beds": [1, 2, 3], "head": null}',
        '[{"name":"Ada","seen_at":"2026-03-01T09:30:00Z"},{"name":"Alan","seen_at":null}]',
    ),
    "hex": (
        "decode 0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d4bf5122f344554c53bde2ebb8cd2b7e3",
        "d1600ad631c385a5d7cce23c7785459adbc1b4c900ffe48d575b5da5c6380401",
    ),
}
"""Texts of our own, by kind."""
TEMPLATE_ROOM: Final = 8
PAUSE_SECONDS: Final = 3.0
SYSTEM: Final = (
    "Clinic {number:08d}. You answer questions about its patients, wards and beds, in SQL. Tables: patients(id, name, "
    "born_on), admissions(patient_id, ward_id, admitted_at, discharged_at), wards(id, name, floor), beds(id, ward_id, "
    "free)."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of text; each list has one number for each text and round."""

    kind: str
    paused: bool
    code_points: list[int]
    uncached_tokens: list[int]
    first_token_ms: list[float]
    adopted: list[bool]


async def ask(client: AsyncClient, text: str, number: int, ms_per_key: float, *, paused: bool) -> Report:
    """Type one text in a session of its own, press Enter, and return the report."""
    session = client.session(
        [("system", SYSTEM.format(number=number))],
        sampling=Sampling(max_tokens=8, temperature=0.0),
        pregeneration=PregenerationMode.AUTO if paused else PregenerationMode.OFF,
    )
    async with session:
        await session.flushed(await session.flush(0))  # the base prompt is warm before the first key
        begun = time.perf_counter()
        for position, char in enumerate(text, 1):
            await session.type(char)
            await asyncio.sleep(max(0.0, begun + position * ms_per_key / 1000 - time.perf_counter()))
        if paused:
            await asyncio.sleep(PAUSE_SECONDS)
        answer = await session.submit()
        async for _ in answer:
            pass
        return answer.report


async def measure(client: AsyncClient, rounds: int, ms_per_key: float, *, paused: bool) -> list[Row]:
    """Ask all texts, in an order that is shuffled in each round, and print a row for each kind."""
    rows = {kind: Row(kind, paused, [], [], [], []) for kind in TEXTS}
    asked = [(kind, text) for kind, texts in TEXTS.items() for text in texts]
    draw = random.Random()
    for _ in range(rounds):
        for kind, text in draw.sample(asked, len(asked)):
            report = await ask(client, text, draw.randrange(10**8), ms_per_key, paused=paused)
            row = rows[kind]
            row.code_points.append(len(text))
            row.uncached_tokens.append(report.prompt_tokens - report.cached_tokens)
            row.first_token_ms.append(report.ttft_seconds * 1000)
            row.adopted.append(report.source is GenerationSource.PREGENERATED)
    return list(rows.values())


def table(rows: list[Row], block_size: int) -> str:
    """Return the rows as a table: median and most of the uncached tokens, median and most of the waits."""
    bar = block_size + TEMPLATE_ROOM
    lines = [
        f"{'':10}{'asked':>7}{'uncached: median':>18}{'most':>6}{'bar':>5}{'first token, ms: median':>25}{'most':>8}"
    ]
    lines[0] += f"{'adopted':>9}"
    for row in rows:
        waits, uncached = row.first_token_ms, row.uncached_tokens
        lines.append(
            f"{row.kind:10}{len(waits):>7}{statistics.median(uncached):>18.0f}{max(uncached):>6}{bar:>5}"
            f"{statistics.median(waits):>25.1f}{max(waits):>8.1f}{sum(row.adopted):>9}"
        )
    return "\n".join(lines)


@asynccontextmanager
async def server(target: str | None) -> AsyncIterator[str]:
    """Yield the address of a server: the given one, or one of our own."""
    if target is not None:
        yield target
        return
    async with local_server(lambda seconds: None) as address:
        yield address


async def run(arguments: argparse.Namespace) -> None:
    """Measure both ways and print them."""
    results: list[Row] = []
    async with server(arguments.target) as address, AsyncClient.connect(address) as client:
        async with client.session() as session:
            block_size = session.opened.block_size
        for paused in (False, True):
            rows = await measure(client, arguments.rounds, arguments.ms_per_key, paused=paused)
            print(f"\n{'paused' if paused else 'typed'}, {arguments.ms_per_key:g} ms a key\n{table(rows, block_size)}")
            results += rows
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in results], indent=2) + "\n")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ms-per-key", type=float, default=60.0, help="time from key to key")
    parser.add_argument("--rounds", type=int, default=3, help="how often each text is asked, each way")
    parser.add_argument("--target", metavar="HOST:PORT", help="a running forefill-server (default: start one)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    asyncio.run(run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
