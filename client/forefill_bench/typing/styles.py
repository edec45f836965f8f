"""The ways in which people type, as one table: simulated users of one way each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from forefill_client.keystrokes import HumanTypingModel, Typist, as_typist_ends
from forefill_client.keystrokes.hands import FINAL_MARKS

from .human import LOGGED

End = Callable[[Typist, str, Random], str]
"""Gives a text the end that a typist gives it."""


@dataclass(frozen=True, slots=True)
class Style:
    """One way of typing."""

    about: str
    typing: HumanTypingModel = LOGGED
    end: End = as_typist_ends


def _bare(typist: Typist, text: str, rng: Random) -> str:
    return "".join(char for char in text if char.isalnum() or char.isspace()).lower()


def _semicolon(typist: Typist, text: str, rng: Random) -> str:
    return text.rstrip(FINAL_MARKS) + ";"


EDITING_CORRECTION_RATE: Final = 0.15
EDITING_DELETED: Final = 4.0

AS_LOGGED: Final = Style("as in the public log")
STYLES: Final = {
    "people-bare": Style("without any punctuation", end=_bare),
    "people-semicolon": Style("every message ends with `;`", end=_semicolon),
    "people-fast": Style("4 times as fast", LOGGED.at_pace(4.0)),
    "people-slow": Style("3 times as slow", LOGGED.at_pace(1 / 3)),
    "people-rewriting": Style(
        "with heavy editing: 3 times as many corrections, of 4 times the length",
        replace(LOGGED, correction_rate=EDITING_CORRECTION_RATE, deleted_median=EDITING_DELETED),
    ),
}
"""Every way that differs from the log's, by the name of its workload."""
