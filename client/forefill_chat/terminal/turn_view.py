"""One turn on the screen: the question, the answer as it comes, how it began, and its bars."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from .bars import bars
from .safe_text import shown
from .turns import Stage, Turn

_WAITING = "…"
_MARGINS = 4
"""Columns beside the bars."""


class TurnView(Vertical):
    """A turn; `show` draws it again if it has changed. Text of the model is text: no markup, no control sequence."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(classes="turn")
        self._turn = turn
        self._drawn: tuple[int, int, Turn | None] = (-1, 0, None)

    def compose(self) -> ComposeResult:
        yield Static(Content(shown(self._turn.question)), classes="question")
        for name in ("reasoning", "answer", "problem", "footnote", "twin"):
            yield Static(classes=name)

    def on_mount(self) -> None:
        self.show(self._turn)

    def on_resize(self) -> None:
        self.show(self._turn)

    def show(self, turn: Turn) -> None:
        """Draw a turn, in place of the one before."""
        drawn = (turn.version, self.size.width, turn)
        if not self.is_mounted or (drawn == self._drawn and turn is self._turn):
            return
        self._turn, self._drawn = turn, drawn
        self._put("reasoning", turn.reasoning)
        self._put("answer", turn.text or (_WAITING if turn.stage is Stage.WAITING else ""))
        self._put("problem", turn.problem)
        self._put("footnote", turn.footnote)
        self._put("twin", turn.twin_note)
        if turn.waits:
            self._put_bars(bars(turn.waits, self.size.width - _MARGINS))

    def _put(self, name: str, text: str) -> None:
        line = self.query_one(f".{name}", Static)
        line.display = bool(text)
        line.update(Content(shown(text)))

    def _put_bars(self, lines: list[str]) -> None:
        ours = len(lines) // len(self._turn.waits)
        drawn = self.query_one(".twin", Static)
        drawn.display = True
        drawn.update(
            Content("\n").join(
                [*map(Content, lines[:-ours]), *(Content.styled(line, "$success") for line in lines[-ours:])]
            )
        )
