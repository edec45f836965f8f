"""The script of a typist, stroke by stroke: pure, so that a seed makes every arm's typing the same.

A script is made by an `Author`, who types, pastes, deletes and edits in the middle. It ends with SUBMIT of its
draft. FLUSH follows each end of a word, and each few characters of a long one, as an SDK session flushes by itself.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final

from forefill_client.keystrokes import FlushRule, Stroke, StrokeKind, Trace, TypingModel, plan_typing, stroke_of
from forefill_client.keystrokes.boundaries import confirmable_by
from forefill_client.keystrokes.strokes import KIND_OF

Script = Trace
"""What a typist does, planned before anything is sent."""

DELETE_KEY_MS: Final = 60.0
"""From delete to delete while the key is held down."""
MOVE_CURSOR_KEYS: Final = 5
"""Seeing a mistake in the middle and going there takes as long as this number of keys."""


class Author:
    """Writes one script."""

    def __init__(self, model: TypingModel, rng: Random) -> None:
        self._model = model
        self._rng = rng
        self._strokes: list[Stroke] = []
        self._now_ms = 0.0
        self._draft = ""

    def type(self, text: str) -> None:
        """Type key by key, with the model's typos and their correction."""
        before, began_ms = self._draft, self._now_ms
        for _, event in plan_typing(text, self._model, self._rng, submit_at_end=False):
            self._now_ms = began_ms + event.timestamp_ms
            self._draft = before + event.current_text
            self._add(KIND_OF[event.event_type], event.char or "")

    def paste(self, text: str) -> None:
        """Put a whole text in at once."""
        self._wait()
        self._draft += text
        self._add(StrokeKind.TYPE, text)
        self._add(StrokeKind.FLUSH)

    def delete(self, count: int) -> None:
        """Hold the delete key down for `count` characters."""
        self._wait()
        for _ in range(count):
            self._draft = self._draft[:-1]
            self._add(StrokeKind.DELETE)
            self._now_ms += min(DELETE_KEY_MS, self._model.mean_delay_ms)

    def replace(self, start: int, end: int, text: str) -> None:
        """Go into the middle and put `text` there."""
        self._now_ms += MOVE_CURSOR_KEYS * self._model.mean_delay_ms
        self._draft = self._draft[:start] + text + self._draft[end:]
        self._strokes.append(Stroke(self._now_ms, StrokeKind.REPLACE, self._draft, text, start, end))
        self._add(StrokeKind.FLUSH)

    def submitted(self) -> Script:
        """Press Enter, and return the script."""
        self._wait()
        self._add(StrokeKind.SUBMIT)
        return tuple(self._strokes)

    def _wait(self) -> None:
        """Let the time from one key to the next go by."""
        self._now_ms += max(0.0, self._rng.gauss(self._model.mean_delay_ms, self._model.std_delay_ms))

    def _add(self, kind: StrokeKind, text: str = "") -> None:
        confirmed = confirmable_by(FlushRule.WORD, self._draft) if kind is StrokeKind.FLUSH else 0
        self._strokes.append(Stroke(self._now_ms, kind, self._draft, text, confirmed=confirmed))


def typed(text: str, model: TypingModel, rng: Random) -> Script:
    """Type a text and submit it."""
    author = Author(model, rng)
    author.type(text)
    return author.submitted()


def typed_to_enter(text: str, model: TypingModel, rng: Random) -> Script:
    """Type a text and submit it, Enter being one more key: the model's pause after a word comes before it, too."""
    return tuple(stroke_of(event) for _, event in plan_typing(text, model, rng))


def pasted(paste: str, question: str, model: TypingModel, rng: Random) -> Script:
    """Paste a text, type a question after it, and submit both."""
    author = Author(model, rng)
    author.paste(paste)
    author.type(question)
    return author.submitted()


def edited(text: str, wrong_words: Sequence[str], wrong_share: float, model: TypingModel, rng: Random) -> Script:
    """Type a text with much rewriting, and submit it.

    With probability `wrong_share` a word is first typed as another one, which is deleted as a whole; one word in the
    middle stays wrong until the end, and is then replaced.
    """
    words = text.split(" ")
    late = len(words) // 2
    author = Author(model, rng)
    for index, word in enumerate(words):
        wrong = rng.choice(wrong_words)
        if index == late:
            start = len(" ".join(words[:late])) + (late > 0)
            author.type(wrong + " " * (index < len(words) - 1))
            mistake = (start, start + len(wrong), word)
            continue
        if rng.random() < wrong_share:
            author.type(f"{wrong} ")
            author.delete(len(wrong) + 1)
        author.type(word + " " * (index < len(words) - 1))
    author.replace(*mistake)
    return author.submitted()


def paused(script: Script, pause_ms: float) -> Script:
    """Return the script with at least `pause_ms` between its last key and Enter."""
    *strokes, submit = script
    last_ms = strokes[-1].at_ms if strokes else 0.0
    return (*strokes, replace(submit, at_ms=max(submit.at_ms, last_ms + pause_ms)))


def delayed(script: Script, delay_ms: float) -> Script:
    """Return the script with its first stroke, and all others, that much later."""
    return tuple(replace(stroke, at_ms=stroke.at_ms + delay_ms) for stroke in script)
