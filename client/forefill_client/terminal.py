"""Output for people: one line that is redrawn on a terminal, plain lines in a file or a pipe."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping
from typing import Self, TextIO

ERASE_LINE = "\r\x1b[K"


class Terminal:
    """Standard error, for progress, so that standard output holds results alone. Leaving it clears its line."""

    def __init__(self, stream: TextIO | None = None, environment: Mapping[str, str] = os.environ) -> None:
        self._stream = stream or sys.stderr
        self._drawn = False
        #: Whether a line can be redrawn.
        self.live = self._stream.isatty() and environment.get("TERM") != "dumb"
        self._colour = self.live and not environment.get("NO_COLOR")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def draw(self, text: str, status: str = "", bold: int = 0) -> None:
        """Redraw the live line: the end of a text, its first `bold` characters in bold, and a status after it.

        Nothing is drawn if the line cannot be redrawn.
        """
        if not self.live:
            return
        room = shutil.get_terminal_size().columns - 1 - columns(status) - (2 if status else 0)
        shown = fit_end(text, max(room, 4))
        bold = max(0, bold - (len(text) - len(shown)))
        if self._colour and bold:
            shown = f"\x1b[1m{shown[:bold]}\x1b[0m{shown[bold:]}"
        self._write(f"{ERASE_LINE}{shown}  {status}" if status else ERASE_LINE + shown)
        self._drawn = True

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.clear()
        self._write(line + "\n")

    def clear(self) -> None:
        """Erase the live line."""
        if self._drawn:
            self._write(ERASE_LINE)
            self._drawn = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def write_result(text: str) -> None:
    """Write to standard output at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def printable(text: str) -> str:
    """Return the text without control characters, but with its line breaks and tabs."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc")


def one_line(text: str) -> str:
    """Return the text on one line."""
    return printable(text).replace("\n", " ").replace("\t", " ")


def columns(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    return sum(_columns(char) for char in text)


def fit_end(text: str, width: int) -> str:
    """Return the end of the text, as much as fits into `width` columns."""
    start, room = len(text), width
    while start and room >= _columns(text[start - 1]):
        start -= 1
        room -= _columns(text[start])
    return text[start:]


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
