"""Bars of text, in eighths of a column, that compare times. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

EIGHTHS: Final = "▏▎▍▌▋▊▉█"
TROUGH: Final = "░"
LEAST_BAR_COLUMNS: Final = 10


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait for a first token, and its name."""

    name: str
    ms: float


def milliseconds(ms: float) -> str:
    """Return a time for people: with one decimal below 10 ms, in seconds from ten on."""
    if ms < 9.95:
        return f"{ms:.1f} ms"
    return f"{ms:,.0f} ms" if ms < 9_999.5 else f"{ms / 1000:,.1f} s"


def bar(share: float, columns: int) -> str:
    """Return a bar over this share of the columns; the thinnest one for next to nothing."""
    eighths = max(1, round(min(max(share, 0.0), 1.0) * columns * 8))
    return EIGHTHS[-1] * (eighths // 8) + (EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def gauge(share: float, columns: int) -> str:
    """Return a bar in a trough of this many columns; empty only if the share is."""
    filled = min(columns, round(max(share, 0.0) * columns) or (1 if share > 0 else 0))
    return EIGHTHS[-1] * filled + TROUGH * (columns - filled)


def bars(waits: Sequence[Wait], columns: int) -> list[str]:
    """Return a line for each wait, or two if the columns are few: name, bar and time. The longest fills its space."""
    longest = max((wait.ms for wait in waits), default=0.0) or 1.0
    names, times = [wait.name for wait in waits], [milliseconds(wait.ms) for wait in waits]
    name_columns, time_columns = max(map(len, names), default=0), max(map(len, times), default=0)
    beside = columns - name_columns - time_columns - 4
    if beside >= LEAST_BAR_COLUMNS:
        return [
            f"{wait.name:<{name_columns}}  {bar(wait.ms / longest, beside):<{beside}}  {time:>{time_columns}}"
            for wait, time in zip(waits, times, strict=True)
        ]
    below = max(columns - time_columns - 2, 1)
    return [
        line
        for wait, time in zip(waits, times, strict=True)
        for line in (wait.name, f"{bar(wait.ms / longest, below):<{below}}  {time:>{time_columns}}")
    ]
