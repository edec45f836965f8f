"""The public log of people who type messages: the package `keylogging-analysis`, of which only the data file is read.

Each row holds the whole content of a box after one event. Event 0 is a change, 4 is taken as the send (it comes between
the last change and the reply), 1 is the message as it was sent. People who chat with an agent are read, and their
messages of two changes or more whose last content is what was sent: 7,990 messages of 83 users, of language learners.
"""

import csv
import hashlib
import importlib.metadata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from forefill_client.errors import ForefillError

PACKAGE: Final = "keylogging-analysis"
DATA_FILE: Final = "keylogging_analysis/data/lh_default.csv"
JUDGING_DIGITS: Final = frozenset("89abcdef")
_CHANGE: Final = "0"
_SENT_MESSAGE: Final = "1"
_SEND: Final = "4"
_TO_AN_AGENT: Final = ("preCreated", "0")


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """One message as it was typed: milliseconds since the epoch, and the box's content after each change."""

    user: str
    sitting: str
    changes: tuple[tuple[float, str], ...]
    sent_ms: float

    @property
    def text(self) -> str:
        """The message that was sent."""
        return self.changes[-1][1]

    @property
    def begins_ms(self) -> float:
        """The time of the first change."""
        return self.changes[0][0]


def find_log() -> Path | None:
    """Return the log's file if its package is installed; the package is not imported."""
    try:
        file = Path(str(importlib.metadata.distribution(PACKAGE).locate_file(DATA_FILE)))
    except importlib.metadata.PackageNotFoundError:
        return None
    return file if file.is_file() else None


def is_for_judging(user: str) -> bool:
    """Return whether a user is kept for judging: nothing may be tuned on what such a user typed."""
    return hashlib.sha256(user.encode()).hexdigest()[0] in JUDGING_DIGITS


def read_log(file: Path) -> list[LoggedMessage]:
    """Return the usable messages in the file's order; raises OSError, and ForefillError if it is another file."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        missing = {"message_id", "event_for_message_type", "content", "key_time", "USER_ID"} - set(
            rows.fieldnames or ()
        )
        if missing:
            raise ForefillError(f"{file.name} is not the log: it has no column {', '.join(sorted(missing))}")
        return list(_messages(rows))


def _messages(rows: Iterable[dict[str, str]]) -> Iterator[LoggedMessage]:
    column, value = _TO_AN_AGENT
    wanted = (row for row in rows if row.get(column, value) == value)
    for _, events in groupby(wanted, key=lambda row: row["message_id"]):
        if message := _message(list(events)):
            yield message


def _message(events: list[dict[str, str]]) -> LoggedMessage | None:
    changes, sent_ms = _typing(events)
    if sent_ms is None or len(changes) < 2 or changes[-1][1] != events[0]["message_content"]:
        return None
    return LoggedMessage(events[0]["USER_ID"], events[0]["session_id"], tuple(changes), sent_ms)


def _typing(events: list[dict[str, str]]) -> tuple[list[tuple[float, str]], float | None]:
    """Return the changes up to the send, and the time of the send: the first after the last change."""
    changes: list[tuple[float, str]] = []
    sent_ms = None
    for event in events:
        kind, content = event["event_for_message_type"], event["content"]
        if kind == _SENT_MESSAGE or (kind == _CHANGE and sent_ms is not None and not content):  # the box is emptied
            break
        if kind == _CHANGE and (changes or content):
            changes.append((_milliseconds(event["key_time"]), content))
            sent_ms = None
        elif kind == _SEND and changes and sent_ms is None:
            sent_ms = _milliseconds(event["key_time"])
    return changes, sent_ms


def _milliseconds(time: str) -> float:
    return datetime.fromisoformat(f"{time}+00:00").timestamp() * 1000
