"""Processor time and memory of a process, as Linux counts them."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_SETTLED_KIB = 64
_SETTLE_SECONDS = 0.2
_MOST_WAITS = 25


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory, and the part of it that no other process shares, in KiB."""

    rss_kib: int
    uss_kib: int


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def memory(pid: int) -> Memory:
    """Return the memory of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {name: int(amount.split()[0]) for name, _, amount in (line.partition(":") for line in lines)}
    return Memory(kib["Rss"], kib["Private_Clean"] + kib["Private_Dirty"])


async def settled_memory(pid: int) -> Memory:
    """Return the memory of a process once it has stopped growing, or after five seconds."""
    before = memory(pid)
    for _ in range(_MOST_WAITS):
        await asyncio.sleep(_SETTLE_SECONDS)
        now = memory(pid)
        if abs(now.uss_kib - before.uss_kib) < _SETTLED_KIB:
            return now
        before = now
    return before
