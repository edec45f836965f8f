"""A fuzzer's input as the messages of one stream, and back.

A record is one byte that says what the service does before the message comes, two for the length of the message, and
its bytes. The last record may be cut short: so is its message then.
"""

from collections.abc import Iterable
from dataclasses import dataclass

MOST_RECORDS = 64
_HEAD_BYTES = 3


@dataclass(frozen=True, slots=True)
class Record:
    """One message, and what the service does before it comes (`FuzzedStream`)."""

    before: int
    data: bytes


def records_of(data: bytes) -> list[Record]:
    """Return the records of an input; more than a few dozen find nothing new."""
    found: list[Record] = []
    at = 0
    while at + _HEAD_BYTES <= len(data) and len(found) < MOST_RECORDS:
        begin = at + _HEAD_BYTES
        end = begin + int.from_bytes(data[at + 1 : begin], "big")
        found.append(Record(data[at], data[begin:end]))
        at = end
    return found


def joined(records: Iterable[Record]) -> bytes:
    """Return the input of these records."""
    return b"".join(
        bytes([record.before]) + len(record.data).to_bytes(2, "big") + record.data
        for record in records
        if len(record.data) < 2**16
    )
