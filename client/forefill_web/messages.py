"""The messages of a browser, and how their text is read: strictly, since anybody can write to a WebSocket.

`KINDS` is the table of SOCKET.md's first half. Whatever does not fit raises Malformed, and nothing of it is used.
Fields that the table does not know are ignored.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

PROTOCOL_VERSION: Final = 1
MOST: Final = 2**31 - 1
"""Largest position, length and number of a turn."""
LONGEST_TOKEN: Final = 128
ROLES: Final = frozenset({"user", "assistant"})


class Malformed(ValueError):
    """Raised when a text is no message of a browser. What it says names the field, and never what was in it."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Open:
    """Begin, or go on with, a conversation."""

    protocol: int
    token: str
    """That of an earlier `opened`; "" for none."""
    messages: tuple[Said, ...]
    draft: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Put `text` in place of the code points from `start` to before `end`; then there are `length`."""

    start: int
    end: int
    text: str
    length: int
    composing: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """Replace the whole draft."""

    text: str
    composing: bool


@dataclass(frozen=True, slots=True)
class Hint:
    """Say whether Enter is likely soon."""

    likely: bool


@dataclass(frozen=True, slots=True)
class Submit:
    """Ask for the answer to a text."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Regenerate:
    """Ask once more for the last answer."""

    turn: int


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Keep the first `keep` messages, and let these follow."""

    keep: int
    messages: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop the running answer."""

    turn: int
    keep_text: bool


@dataclass(frozen=True, slots=True)
class Twin:
    """Measure what an answer would have waited without forefill."""

    turn: int


@dataclass(frozen=True, slots=True)
class End:
    """End the conversation."""


Message = Open | Edit | Draft | Hint | Submit | Regenerate | Rewrite | Cancel | Twin | End

Check = Callable[[object], Any]
"""Returns a field's value if it is of the right kind, or raises Malformed with what it should be."""


class _Optional(NamedTuple):
    check: Check
    default: object


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Malformed("a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Malformed("a text without lone surrogates") from None
    return value


def _number(least: int) -> Check:
    def number(value: object) -> int:
        # A bool is an int to Python, and 3.0 is none to us.
        if type(value) is not int or not least <= value <= MOST:
            raise Malformed(f"a whole number from {least} to {MOST}")
        return value

    return number


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Malformed("true or false")
    return value


def _version(value: object) -> int:
    if type(value) is not int or value != PROTOCOL_VERSION:
        raise Malformed(f"{PROTOCOL_VERSION}, the only version that is spoken here")
    return value


def _token(value: object) -> str:
    token = _text(value)
    if len(token) > LONGEST_TOKEN:
        raise Malformed("a token as `opened` had it")
    return token


def _messages(value: object) -> tuple[Said, ...]:
    if not isinstance(value, list):
        raise Malformed("a list of messages")
    return tuple(map(_said, value))


def _said(value: object) -> Said:
    role = value.get("role") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(role, str) or role not in ROLES:
        raise Malformed('a list of {"role": "user" or "assistant", "content": TEXT}')
    return Said(role, _text(value.get("content")))


_POSITION, _TURN = _number(0), _number(1)

KINDS: Final[Mapping[str, tuple[type[Message], Mapping[str, Check | _Optional]]]] = {
    "open": (
        Open,
        {"protocol": _version, "token": _Optional(_token, ""), "messages": _messages, "draft": _text},
    ),
    "edit": (
        Edit,
        {"start": _POSITION, "end": _POSITION, "text": _text, "length": _POSITION, "composing": _flag},
    ),
    "draft": (Draft, {"text": _text, "composing": _flag}),
    "hint": (Hint, {"likely": _flag}),
    "submit": (Submit, {"turn": _TURN, "text": _text}),
    "regenerate": (Regenerate, {"turn": _TURN}),
    "rewrite": (Rewrite, {"keep": _POSITION, "messages": _messages}),
    "cancel": (Cancel, {"turn": _TURN, "keep_text": _flag}),
    "twin": (Twin, {"turn": _TURN}),
    "end": (End, {}),
}


def parse(text: str) -> Message:
    """Return the message that a text frame holds; raises Malformed."""
    try:
        given = json.loads(text, parse_constant=_refused, object_pairs_hook=_unrepeated)
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("a message must be a JSON object") from None
    if not isinstance(given, dict):
        raise Malformed("a message must be a JSON object")
    name = given.get("type")
    if not isinstance(name, str) or name not in KINDS:
        raise Malformed("a message must have a `type` of SOCKET.md")
    kind, fields = KINDS[name]
    return kind(*(_field(name, field, check, given) for field, check in fields.items()))


def _field(kind: str, name: str, check: Check | _Optional, given: Mapping[str, object]) -> Any:
    if isinstance(check, _Optional):
        if name not in given:
            return check.default
        check = check.check
    if name not in given:
        raise Malformed(f"`{kind}` must have `{name}`")
    try:
        return check(given[name])
    except Malformed as wanted:
        raise Malformed(f"`{name}` of `{kind}` must be {wanted}") from None


def _refused(constant: str) -> NoReturn:
    raise Malformed(f"JSON has no {constant}")


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    given = dict(pairs)
    if len(given) != len(pairs):
        raise Malformed("a message must have each field once")
    return given
