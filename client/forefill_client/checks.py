"""Checks of arguments where they enter the SDK, by their names: what is of another kind raises InvalidRequest."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from .errors import InvalidRequest

T = TypeVar("T")


def checked_int(value: int, name: str) -> int:
    """Return a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "an int", value)
    return value


def checked_seconds(value: float, name: str) -> float:
    """Return a time of 0 seconds or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise _wrong(name, "a number of seconds, 0 or more", value)
    return value


def checked_type(value: T, kind: type | tuple[type, ...], name: str) -> T:
    """Return a value of one of these types."""
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise _wrong(name, " or ".join("None" if one is type(None) else one.__name__ for one in kinds), value)
    return value


def checked_iterable(values: Iterable[T], name: str) -> Iterable[T]:
    """Return what can be iterated over."""
    if not isinstance(values, Iterable):
        raise _wrong(name, "a list", values)
    return values


def as_mapping(value: object) -> Mapping[str, Any] | None:
    """Return a value that is a mapping, None for any other."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None


def checked_callback(function: Callable[..., Any] | None, name: str) -> None:
    """Check a function that is called, not awaited, and may be None."""
    if function is not None and (not callable(function) or inspect.iscoroutinefunction(function)):
        raise _wrong(name, "a function without async, or None", function)


def _wrong(name: str, wanted: str, value: object) -> InvalidRequest:
    return InvalidRequest(f"{name} must be {wanted}, not {value!r:.80}", session_continues=True)
