"""A public log of people who type, made up: the file's form, with users of our own."""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

COLUMNS = (
    *("key_id", "content", "event_for_message_type", "key_time", "message_id", "message_content", "session_id"),
    *("USER_ID", "preCreated"),
)
BEGINNING = datetime(2018, 9, 21, 7, 0, tzinfo=UTC)
Event = tuple[str, str, int]
"""A kind, the box's content, and milliseconds."""


def user(judged: bool, number: int = 0) -> str:
    """Return the name of a user who is kept for judging, or of one who is not."""
    names = (f"user{index}" for index in range(10_000))
    fitting = [name for name in names if (hashlib.sha256(name.encode()).hexdigest()[0] in "89abcdef") is judged]
    return fitting[number]


def typed_events(text: str, begins_ms: int, key_ms: int = 1) -> list[Event]:
    """Return the events of a message that is typed key by key and sent."""
    events = [("0", text[: end + 1], begins_ms + key_ms * end) for end in range(len(text))]
    sent_ms = begins_ms + key_ms * (len(text) + 1)
    return [*events, ("4", "", sent_ms), ("0", "", sent_ms), ("1", text, sent_ms)]


def rows_of(
    events: Iterable[Event], *, user: str, message: str, text: str, sitting: str = "s", created: str = "0"
) -> list[dict[str, str]]:
    """Return the file's rows of one message."""
    return [
        dict(zip(COLUMNS, ("1", content, kind, _time(at_ms), message, text, sitting, user, created), strict=True))
        for kind, content, at_ms in events
    ]


def file_of(rows: Iterable[Mapping[str, str]]) -> str:
    """Return the file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def log_of(messages: Mapping[str, Sequence[str]], gap_ms: int = 5) -> str:
    """Return a file in which users type messages, one after the other, a key every millisecond."""
    rows = []
    for name, texts in messages.items():
        now_ms = 0
        for index, text in enumerate(texts):
            rows += rows_of(typed_events(text, now_ms), user=name, message=f"{name} {index}", text=text, sitting=name)
            now_ms += len(text) + 1 + gap_ms
    return file_of(rows)


def _time(at_ms: int) -> str:
    return (BEGINNING + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
