"""The one place where a server's JSON is believed: each field is read by its name, type and range.

A server may be another release, a proxy in front of it, or broken. All that it says is checked here before anything
counts with it, so a value that vLLM never sends ends one request, and cannot end up in a prompt, the books or a
message. The error names the field, which is a word of ours, and repeats nothing of the value.
"""

from __future__ import annotations

import json
from typing import NoReturn

from ...errors import EngineNonsense

MOST = 2**31
"""No count of tokens is as high, and no id."""


class Fields:
    """One JSON object that a server sent; `where` names it in errors. A field that is null is one that is not there.

    Each method raises EngineNonsense for another type, or a value out of range.
    """

    __slots__ = ("_values", "_where")

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            nonsense(where)
        self._values: dict[str, object] = value
        self._where = where

    def raw(self, name: str) -> object:
        """Return a field as it is; None if it is not there."""
        return self._values.get(name)

    def text(self, name: str) -> str:
        """Return a text that has UTF-8; "" if it is not there."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or not _has_utf8(value):
            self._is_nonsense(name)
        return value

    def count(self, name: str, below: int = MOST) -> int | None:
        """Return an integer from 0 on; None if it is not there."""
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is not int or not 0 <= value < below:  # True is an int, too
            self._is_nonsense(name)
        return value

    def ids(self, name: str, below: int = MOST) -> tuple[int, ...] | None:
        """Return ids of tokens; None if they are not there."""
        values = self._values.get(name)
        if values is None:
            return None
        if not isinstance(values, list):
            self._is_nonsense(name)
        if values and (set(map(type, values)) != {int} or min(values) < 0 or max(values) >= below):
            self._is_nonsense(name)
        return tuple(values)

    def object(self, name: str) -> Fields | None:
        """Return an object; None if it is not there."""
        value = self._values.get(name)
        return None if value is None else Fields(value, f"{self._where}.{name}")

    def objects(self, name: str) -> list[Fields]:
        """Return the objects of a list; none if it is not there."""
        values = self._values.get(name)
        if values is None:
            return []
        if not isinstance(values, list):
            self._is_nonsense(name)
        return [Fields(value, f"{self._where}.{name}") for value in values]

    def _is_nonsense(self, name: str) -> NoReturn:
        nonsense(f"{self._where}.{name}")


def nonsense(where: str) -> NoReturn:
    """Raise EngineNonsense for what stands there."""
    raise EngineNonsense(f"the engine's answer is none of vLLM's: {where}; check whether --engine-url leads to vLLM")


def parsed(data: bytes, where: str) -> object:
    """Parse JSON as vLLM writes it: in UTF-8, without NaN. Raises EngineNonsense."""
    try:
        return _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        nonsense(f"{where} is not JSON")


def _no_number(_: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def _has_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON may hold and protobuf may not
        return False
    return True
