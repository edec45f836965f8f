"""A keyboard under ten fingers: which hand and which finger a key belongs to, and which keys lie beside it."""

from collections.abc import Mapping
from enum import Enum
from itertools import product
from types import MappingProxyType
from typing import Final

BESIDE: Final = 1.3
"""Keys whose centres are at most this far apart lie beside each other, in widths of a key."""


class HandPair(Enum):
    """How two keys, one after the other, fall to the hands."""

    ALTERNATION = "alternation"
    """One to each hand."""
    LEFT_HAND = "left hand"
    """Both to the left hand."""
    RIGHT_HAND = "right hand"
    """Both to the right hand."""
    REPETITION = "repetition"
    """The same key twice."""


PUBLISHED_PAIR_MS: Final[Mapping[HandPair, float]] = MappingProxyType(
    {
        HandPair.ALTERNATION: 198.26,
        HandPair.LEFT_HAND: 215.23,
        HandPair.RIGHT_HAND: 203.60,
        HandPair.REPETITION: 176.36,
    }
)
"""Mean milliseconds between two letters of a word (Dhakal et al., CHI 2018, Table 3: 168,000 people)."""

MEAN_PAIR_MS: Final = 203.0
"""The mean of these, weighted by how often each is typed in English."""


class Keyboard:
    """A layout.

    Args:
        rows: From top to bottom, how far the first key is to the right, in widths of a key, and the row's keys.
        fingers: The keys of each of the eight fingers, from the left little finger to the right one.
    """

    def __init__(self, rows: tuple[tuple[float, str], ...], fingers: tuple[str, ...]) -> None:
        places = {key: (x + column, y) for y, (x, keys) in enumerate(rows) for column, key in enumerate(keys)}
        self._finger_of = {key: finger for finger, keys in enumerate(fingers) for key in keys}
        self._neighbours = dict.fromkeys(places, "")
        self._first_letters = next((keys for _, keys in rows if keys.isalpha()), "")
        for one, other in product(places, places):
            distance = abs(complex(*places[one]) - complex(*places[other]))
            if 0 < distance <= BESIDE:
                self._neighbours[one] += other

    def __repr__(self) -> str:
        return f"<Keyboard {self._first_letters}>"

    def neighbours(self, char: str) -> str:
        """Return the keys beside that of a character; "" if the layout does not have it."""
        return self._neighbours.get(char.lower(), "")

    def hands(self, before: str, char: str) -> HandPair | None:
        """Return which hands type two characters, one after the other; None if the layout lacks one of them."""
        one, other = self._finger_of.get(before.lower()), self._finger_of.get(char.lower())
        if one is None or other is None:
            return None
        if before.lower() == char.lower():
            return HandPair.REPETITION
        if (one < 4) != (other < 4):
            return HandPair.ALTERNATION
        return HandPair.LEFT_HAND if one < 4 else HandPair.RIGHT_HAND

    def can_overlap(self, before: str, char: str) -> bool:
        """Return whether different fingers type them, so that one key can go down before the other is up.

        The space is a thumb's.
        """
        if (before == " ") != (char == " "):
            return True
        one, other = self._finger_of.get(before.lower()), self._finger_of.get(char.lower())
        return one is not None and other is not None and one != other

    def pair_factor(self, before: str, char: str) -> float:
        """Return how much longer than the mean two letters take, one after the other; 1 if nothing is known."""
        hands = self.hands(before, char)
        return 1.0 if hands is None else PUBLISHED_PAIR_MS[hands] / MEAN_PAIR_MS


QWERTY: Final = Keyboard(
    rows=((0.0, "1234567890"), (0.5, "qwertyuiop"), (0.75, "asdfghjkl"), (1.25, "zxcvbnm")),
    fingers=("1qaz", "2wsx", "3edc", "45rtfgvb", "67yuhjnm", "8ik", "9ol", "0p"),
)
"""The US layout, typed with ten fingers."""
