"""Argument types for argparse: functions from the text of an argument to its value."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .keystrokes import StrokeKind, Trace, read_trace


def text(value: str) -> str:
    """Accept a text that is not empty."""
    if not value:
        raise argparse.ArgumentTypeError("give a text that is not empty")
    return value


def text_or_file(value: str) -> str:
    """Accept a text, or @ and the name of a UTF-8 file that holds it."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"cannot read {value[1:]}: {error}") from None


def trace(value: str) -> Trace:
    """Accept the name of a trace file whose trace ends with SUBMIT."""
    try:
        read = read_trace(value)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot read {value}: {error.strerror}") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value}: {error}") from None
    if not read or read[-1].kind is not StrokeKind.SUBMIT:
        raise argparse.ArgumentTypeError(f'{value}: it has no submit: add the line {{"at_ms": MS, "kind": "submit"}}')
    if not read[-1].draft:
        raise argparse.ArgumentTypeError(f"{value}: it submits an empty draft: give a trace that types something")
    return read


def positive(value: str) -> float:
    """Accept a number above 0."""
    return _number(value, lambda number: 0 < number < float("inf"), "a number above 0")


def not_negative(value: str) -> float:
    """Accept 0 or a number above it."""
    return _number(value, lambda number: 0 <= number < float("inf"), "0 or a number above it")


def share(value: str) -> float:
    """Accept a number from 0 to 1."""
    return _number(value, lambda number: 0 <= number <= 1, "a number from 0 to 1")


def count(value: str) -> int:
    """Accept a whole number, 1 or more."""
    return int(_number(value, lambda number: number >= 1 and number == int(number), "a whole number from 1"))


def whole(value: str) -> int:
    """Accept a whole number, 0 or more."""
    return int(_number(value, lambda number: number >= 0 and number == int(number), "a whole number from 0"))


def port(value: str) -> int:
    """Accept the number of a port; 0 means a free one."""
    return int(_number(value, lambda number: 0 <= number <= 65535 and number == int(number), "a port, 0 to 65535"))


def counts(value: str) -> tuple[int, ...]:
    """Accept whole numbers, 1 or more each, separated by commas."""
    return tuple(count(part) for part in value.split(","))


def up_to(most: int) -> Callable[[str], int]:
    """Return an argument type that accepts a whole number, 1 to `most`."""

    def number_up_to(value: str) -> int:
        return int(_number(value, lambda number: 1 <= number <= most and number == int(number), f"1 to {most}"))

    return number_up_to


def comma_separated(known: Any) -> Any:
    """Return an argument type that accepts some of the `known` names, separated by commas."""

    def names(value: str) -> tuple[str, ...]:
        given = tuple(value.split(","))
        for name in given:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {name!r}: choose from {', '.join(known)}")
        return given

    return names


def _number(value: str, is_valid: Callable[[float], bool], wanted: str) -> float:
    try:
        number = float(value)
        if is_valid(number):
            return number
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"give {wanted}, not {value!r}")
