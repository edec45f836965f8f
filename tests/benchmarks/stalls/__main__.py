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
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.stalls.attacks import ATTACKS
from tests.benchmarks.stalls.measuring import Row, measure
from tests.benchmarks.stress import machine


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


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.stalls", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only attacks whose name holds this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    given = parser.parse_args()
    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()) + "\n")
    rows = asyncio.run(measure_all(given.only))
    if given.json:
        given.json.write_text(json.dumps({"meta": about, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
