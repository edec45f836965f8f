"""The hands of a typist, which type a text: with pauses, bursts, and typos that are noticed late. Pure and seeded."""

import re
from collections.abc import Collection
from random import Random
from typing import Final

from .human import KeyRole, Typist
from .recorder import TraceRecorder
from .strokes import Trace
from .typos import mistyped

FINAL_MARKS: Final = ".?!;"


def typed_by(typist: Typist, text: str, rng: Random, *, pasted: Collection[str] = ()) -> Trace:
    """Return the trace of a typist who types a text: it begins with the first key and ends with Enter.

    The texts of `pasted` are pasted wherever they occur, and so are words that are too long to type (see
    `HumanTypingModel.longest_typed_word`).
    """
    drafts, enter_ms = drafts_by(typist, text, rng, pasted=pasted)
    recorder = TraceRecorder()
    for at_ms, draft in drafts:
        recorder.change(draft, at_ms)
    return recorder.submit(enter_ms)


def drafts_by(
    typist: Typist, text: str, rng: Random, *, pasted: Collection[str] = ()
) -> tuple[list[tuple[float, str]], float]:
    """Return every draft on the way to a text with its time, in milliseconds from the first key, and that of Enter."""
    hands = _Hands(typist, rng)
    for place, part in enumerate(_typed_and_pasted(text, pasted, typist.people.longest_typed_word)):
        put = hands.paste if place % 2 else hands.type
        put(part)
    return hands.drafts, hands.enter_ms()


def as_typist_ends(typist: Typist, text: str, rng: Random) -> str:
    """Return the text with the final mark that the typist gives it, or with none."""
    return text.rstrip(FINAL_MARKS) + typist.final_mark(rng)


def _typed_and_pasted(text: str, pasted: Collection[str], longest_typed_word: int | None) -> list[str]:
    """Split a text into a part that is typed, one that is pasted, and so on in turn; parts may be empty."""
    wanted = [re.escape(part) for part in sorted(pasted, key=len, reverse=True) if part]
    if longest_typed_word is not None:
        wanted.append(f"[!-~]{{{longest_typed_word + 1},}}")
    return re.split(f"({'|'.join(wanted)})", text) if wanted else [text]


class _Hands:
    def __init__(self, typist: Typist, rng: Random) -> None:
        self.drafts: list[tuple[float, str]] = []
        self._typist = typist
        self._rng = rng
        self._draft = ""
        self._now_ms = 0.0
        self._role = KeyRole.LETTER

    def type(self, text: str) -> None:
        for position, char in enumerate(text):
            if self._typist.mistakes(self._rng):
                self._correct(text, position)
            self._press(self._draft + char)

    def paste(self, text: str) -> None:
        self._change(self._draft + text, KeyRole.PASTE)

    def enter_ms(self) -> float:
        return self._now_ms + self._typist.interval_ms(KeyRole.ENTER, self._rng)

    def _correct(self, text: str, position: int) -> None:
        """Type something wrong, go on, and delete it all."""
        before = self._draft
        length = self._typist.deleted(self._rng)
        for char in mistyped(text, position, length, self._rng, self._typist.people.keyboard):
            self._press(self._draft + char)
        while self._draft != before:
            self._press(self._draft[:-1])

    def _press(self, draft: str) -> None:
        pair = draft[-2:] if len(draft) > len(self._draft) else ""
        self._change(draft, role_of(self._draft, draft, self._role), pair)

    def _change(self, draft: str, role: KeyRole, pair: str = "") -> None:
        self._role = role
        if self.drafts:  # time begins with the first key
            self._now_ms += self._typist.interval_ms(role, self._rng, pair)
        self._draft = draft
        self.drafts.append((self._now_ms, draft))


def role_of(before: str, draft: str, last: KeyRole) -> KeyRole:
    """Return the use of the key that turns one draft into another, `last` being that of the key before it."""
    deleted_before = last in (KeyRole.FIRST_DELETE, KeyRole.NEXT_DELETE)
    if len(draft) < len(before):
        return KeyRole.NEXT_DELETE if deleted_before else KeyRole.FIRST_DELETE
    if deleted_before:
        return KeyRole.RETYPE
    typed = draft[-1]
    if typed.isspace():
        return KeyRole.SPACE
    if not typed.isalnum():
        return KeyRole.MARK
    return KeyRole.LETTER if before[-1:].isalnum() else KeyRole.WORD
