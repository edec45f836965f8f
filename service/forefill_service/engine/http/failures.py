"""What an HTTP status of a server stands for. Nothing that the server says with it is passed on (`causes`)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ...errors import EngineBusy, EngineError, EngineRefused, EngineUnavailable
from ..causes import PROMPT_TOO_LONG, TOO_LARGE, cause_of

MOST_RETRY_SECONDS = 3600.0
"""Nobody is told to stay away for longer."""
MOST_REASON_BYTES = 500
"""A template may say anything, of any length."""

_BUSY = frozenset({429, 503})
_NOT_OFFERED = frozenset({404, 405, 501})


class NotServed(EngineRefused):
    """Raised when the server refuses all our requests, for example because it does not accept the API key."""


class NotOffered(NotServed):
    """Raised when the server has no such path or no such model."""


class PromptTooLong(EngineRefused):
    """Raised when the server says that a prompt is longer than the model's context."""


def failure(
    status: int, said: object = None, *, retry_after_seconds: float | None = None, reasons: Collection[str] = ()
) -> EngineError:
    """Return the error for an HTTP status; `said` is the body of the response, parsed as JSON or as text.

    `reasons` are those that the model's template gives for a refusal. If the server's words hold one of them, that one
    is passed on: it is the operator's own.
    """
    if status in _BUSY:
        return EngineBusy(f"the engine has no room (HTTP status {status})", retry_after_seconds=retry_after_seconds)
    if status in _NOT_OFFERED:
        return NotOffered(f"the engine has no such path, model or adapter (HTTP status {status})")
    if status >= 500 or status == 408:
        return EngineUnavailable(f"the engine failed with HTTP status {status}")
    if status in (401, 403):
        return NotServed("the engine refused the API key; set FOREFILL_ENGINE_API_KEY")
    words, parameter = _words_of(said)
    if reason := max((known for known in reasons if known in words), key=len, default=""):
        return EngineRefused(reason.encode()[:MOST_REASON_BYTES].decode(errors="ignore"))
    cause = TOO_LARGE if status == 413 else cause_of(words, parameter)
    refused = PromptTooLong if cause == PROMPT_TOO_LONG else EngineRefused
    return refused(f"{cause} (HTTP status {status})")


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """Return what a Retry-After header asks for, in seconds or as a date; None if it asks for nothing that is one."""
    if not header:
        return None
    try:
        seconds = float(header) if header.strip().isdecimal() else _until(header, now or datetime.now(UTC))
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, seconds), MOST_RETRY_SECONDS) if math.isfinite(seconds) else None


def _until(date: str, now: datetime) -> float:
    at = parsedate_to_datetime(date)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()


def _words_of(said: object) -> tuple[str, str]:
    """Return a server's words, and the field that it blames."""
    if not isinstance(said, Mapping):
        return said if isinstance(said, str) else "", ""
    error = said.get("error", said)
    if not isinstance(error, Mapping):
        return error if isinstance(error, str) else "", ""
    words, parameter = error.get("message"), error.get("param")
    return words if isinstance(words, str) else "", parameter if isinstance(parameter, str) else ""
