"""The script of a person who types a text: with pauses, bursts, and typos that are noticed late."""

from random import Random
from string import ascii_lowercase
from typing import Final

from .changes import Changes
from .human import Move, Typist
from .script import Script

FINAL_MARKS: Final = ".?!;"


def typed_by(typist: Typist, text: str, rng: Random) -> Script:
    """Return the script of a text; it begins with the first key and ends with Enter."""
    drafts, enter_ms = drafts_by(typist, text, rng)
    changes = Changes()
    for at_ms, draft in drafts:
        changes.to(draft, at_ms)
    return changes.submitted(enter_ms)


def drafts_by(typist: Typist, text: str, rng: Random) -> tuple[list[tuple[float, str]], float]:
    """Return every draft on the way to a text with its time, in milliseconds from the first key, and that of Enter."""
    hands = _Hands(typist, rng)
    hands.type(text)
    return hands.drafts, hands.enter_ms()


def as_typist_ends(typist: Typist, text: str, rng: Random) -> str:
    """Return the text with the final mark that the typist gives it, or with none."""
    return text.rstrip(FINAL_MARKS) + typist.final_mark(rng)


class _Hands:
    def __init__(self, typist: Typist, rng: Random) -> None:
        self.drafts: list[tuple[float, str]] = []
        self._typist = typist
        self._rng = rng
        self._draft = ""
        self._now_ms = 0.0
        self._move = Move.LETTER

    def type(self, text: str) -> None:
        for position, char in enumerate(text):
            if self._typist.mistakes(self._rng):
                self._correct(text[position : position + self._typist.deleted(self._rng)])
            self._press(self._draft + char)

    def enter_ms(self) -> float:
        return self._now_ms + self._typist.gap_ms(Move.ENTER, self._rng)

    def _correct(self, meant: str) -> None:
        """Type the first character wrong, go on for the rest, and delete it all."""
        before = self._draft
        for char in self._wrong(meant[0]) + meant[1:]:
            self._press(self._draft + char)
        while self._draft != before:
            self._press(self._draft[:-1])

    def _wrong(self, char: str) -> str:
        return self._rng.choice([letter for letter in ascii_lowercase if letter != char])

    def _press(self, draft: str) -> None:
        self._move = move_of(self._draft, draft, self._move)
        if self.drafts:  # time begins with the first key
            self._now_ms += self._typist.gap_ms(self._move, self._rng)
        self._draft = draft
        self.drafts.append((self._now_ms, draft))


def move_of(before: str, draft: str, last: Move) -> Move:
    """Return the use of the key that turns one draft into another, `last` being that of the key before it."""
    deleted_before = last in (Move.FIRST_DELETE, Move.NEXT_DELETE)
    if len(draft) < len(before):
        return Move.NEXT_DELETE if deleted_before else Move.FIRST_DELETE
    if deleted_before:
        return Move.RETYPE
    typed = draft[-1]
    if typed.isspace():
        return Move.SPACE
    if not typed.isalnum():
        return Move.MARK
    return Move.LETTER if before[-1:].isalnum() else Move.WORD
