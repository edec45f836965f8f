"""Mistyped text: what stands in the draft before a typist notices, and deletes it. Pure, and seeded by the caller."""

from collections.abc import Callable, Mapping
from enum import Enum
from random import Random
from string import ascii_lowercase
from types import MappingProxyType
from typing import Final

from .keyboard import Keyboard

NEIGHBOUR_SHARE: Final = 0.35
"""Share of wrong letters that lie beside the right one: as in the public log, where chance would make it 0.17."""


class Typo(Enum):
    """The kinds of typing errors."""

    SUBSTITUTION = "substitution"
    """A wrong key in place of the right one."""
    OMISSION = "omission"
    """A key left out."""
    INSERTION = "insertion"
    """A wrong key before the right one."""
    TRANSPOSITION = "transposition"
    """Two keys in the wrong order."""


TYPO_WEIGHTS: Final[Mapping[Typo, float]] = MappingProxyType(
    {Typo.SUBSTITUTION: 1.65, Typo.OMISSION: 0.80, Typo.INSERTION: 0.67, Typo.TRANSPOSITION: 0.55}
)
"""How often each is made, in percent of characters.

The first three are published (Dhakal et al., CHI 2018, Table 3). The last one is the log's: 15 % of those corrections
whose error can be told from what was typed afterwards.
"""


def mistyped(text: str, position: int, length: int, rng: Random, keyboard: Keyboard | None) -> str:
    """Return what is typed by mistake in place of up to `length` characters of `text` from `position` on.

    Without a keyboard, any letter takes the place of the first one.
    """
    meant = text[position : position + length]
    if keyboard is None:
        return _any_letter_but(meant[0], rng) + meant[1:]
    typo = rng.choices(list(TYPO_WEIGHTS), list(TYPO_WEIGHTS.values()))[0]
    made = _MAKE[typo](meant, text[position : position + length + 1], _wrong_key(meant[0], rng, keyboard))
    return made if made not in ("", meant) else _substitution(meant, meant, _wrong_key(meant[0], rng, keyboard))


def _substitution(meant: str, _: str, wrong: str) -> str:
    return wrong + meant[1:]


def _omission(meant: str, ahead: str, _: str) -> str:
    return ahead[1:]


def _insertion(meant: str, _: str, wrong: str) -> str:
    return wrong + meant[:-1]


def _transposition(meant: str, _: str, __: str) -> str:
    return meant[1::-1] + meant[2:] if len(meant) > 1 else ""


_MAKE: Final[Mapping[Typo, Callable[[str, str, str], str]]] = MappingProxyType(
    {
        Typo.SUBSTITUTION: _substitution,
        Typo.OMISSION: _omission,
        Typo.INSERTION: _insertion,
        Typo.TRANSPOSITION: _transposition,
    }
)
"""Each from what was meant, the same with one more character, and a wrong key."""


def _wrong_key(char: str, rng: Random, keyboard: Keyboard) -> str:
    """Return a wrong key in the case of the right one."""
    neighbours = keyboard.neighbours(char)
    is_beside = bool(neighbours) and rng.random() < NEIGHBOUR_SHARE
    wrong = rng.choice(neighbours) if is_beside else _any_letter_but(char.lower() + neighbours, rng)
    return wrong.upper() if char.isupper() else wrong


def _any_letter_but(chars: str, rng: Random) -> str:
    return rng.choice([letter for letter in ascii_lowercase if letter not in chars])
