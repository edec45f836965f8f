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
    return _Hands(typist, rng).script(text)


def as_typist_ends(typist: Typist, text: str, rng: Random) -> str:
    """Return the text with the final mark that the typist gives it, or with none."""
    return text.rstrip(FINAL_MARKS) + typist.final_mark(rng)


class _Hands:
    def __init__(self, typist: Typist, rng: Random) -> None:
        self._typist = typist
        self._rng = rng
        self._changes = Changes()
        self._now_ms = 0.0
        self._move = Move.LETTER

    def script(self, text: str) -> Script:
        position = 0
        while position < len(text):
            if self._typist.mistakes(self._rng):
                self._correct(text[position : position + self._typist.deleted(self._rng)])
            self._press(self._changes.draft + text[position])
            position += 1
        self._wait(Move.ENTER)
        return self._changes.submitted(self._now_ms)

    def _correct(self, meant: str) -> None:
        """Type the first character wrong, go on for the rest, and delete it all."""
        before = self._changes.draft
        for char in self._wrong(meant[0]) + meant[1:]:
            self._press(self._changes.draft + char)
        while self._changes.draft != before:
            self._press(self._changes.draft[:-1])

    def _wrong(self, char: str) -> str:
        return self._rng.choice([letter for letter in ascii_lowercase if letter != char])

    def _press(self, draft: str) -> None:
        self._wait(move_of(self._changes.draft, draft, self._move))
        self._changes.to(draft, self._now_ms)

    def _wait(self, move: Move) -> None:
        if self._changes.draft:  # the script begins with the first key
            self._now_ms += self._typist.gap_ms(move, self._rng)
        self._move = move


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
