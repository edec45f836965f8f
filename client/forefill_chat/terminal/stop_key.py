"""The meaning of Ctrl-C: it stops an answer; with none to stop, the second press in a row quits. Pure."""

from enum import Enum
from typing import Final

AGAIN_SECONDS: Final = 3.0
"""How soon the second press must follow."""


class Meaning(Enum):
    """The meanings of a press."""

    STOP = "stop the answer"
    ASK = "ask for another press"
    QUIT = "quit"


class StopKey:
    """The presses of Ctrl-C so far."""

    def __init__(self) -> None:
        self._pressed_at: float | None = None

    def press(self, now: float, *, answering: bool) -> Meaning:
        """Take in a press, at `now` seconds of any clock.

        A press that stops an answer counts as the first of two, so that two in a row always quit.
        """
        before, self._pressed_at = self._pressed_at, now
        if before is not None and now - before <= AGAIN_SECONDS:
            return Meaning.QUIT
        return Meaning.STOP if answering else Meaning.ASK
