"""Mutations that keep an input a stream: most random bytes are no protobuf, and most protobuf is no next event.

Beside these the fuzzer's own mutations of all the bytes remain.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from forefill.v1 import keystroke_pb2 as pb
from google.protobuf.message import DecodeError

from tests.fuzz.records import Record, joined, records_of

Mutate = Callable[[bytes, int], bytes]
"""The fuzzer's own mutation of some bytes, to at most so many."""


def mutated(data: bytes, max_size: int, seed: int, mutate: Mutate) -> bytes:
    """Return another input: by what it does to the messages of a stream, or to the bytes of one."""
    draw, records = random.Random(seed), records_of(data)
    choice = draw.randrange(8)
    if choice == 0 or not records:
        return mutate(data, max_size)
    at = draw.randrange(len(records))
    match choice:
        case 1:
            del records[at]
        case 2:
            records.insert(draw.randrange(len(records) + 1), records[at])
        case 3:
            other = draw.randrange(len(records))
            records[at], records[other] = records[other], records[at]
        case 4:
            records[at] = replace(records[at], before=draw.randrange(4))
        case 5:
            records[at] = replace(records[at], data=records[at].data[: draw.randrange(len(records[at].data) + 1)])
        case _:
            room = max(1, min(max_size - len(data) + len(records[at].data), 2**16 - 1))
            records[at] = replace(records[at], data=mutate(records[at].data, room))
    if draw.randrange(4):
        records = _renumbered(records)
    return joined(records)[:max_size]


def _renumbered(records: list[Record]) -> list[Record]:
    """Return messages with their events numbered 1, 2, 3, ...: others are refused and tell nothing new."""
    numbered, seq = list[Record](), 0
    for record in records:
        try:
            request = pb.ComposeRequest.FromString(record.data)
        except DecodeError:
            numbered.append(record)
            continue
        if request.HasField("event"):
            seq += 1
            request.event.seq = seq
            record = replace(record, data=request.SerializeToString(deterministic=True))
        numbered.append(record)
    return numbered
