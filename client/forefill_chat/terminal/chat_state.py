"""All that the screen shows: the connection, the draft with its marks, the turns, what was warmed and guessed. Pure."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from forefill_client import FlushOutcome, FlushResult, Opened, PregenerationOutcome
from forefill_client.draft import smallest_replace
from forefill_client.report import PregenerationUpdate

from ..draft_marks import DraftMarks
from .turns import Turn

WARMS_SHOWN: Final = 4


class Link(Enum):
    """The state of the connection, in the word that the screen has for it."""

    CONNECTING = "connecting"
    OPEN = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "not connected"


@dataclass(slots=True)
class Guesses:
    """Answers begun before Enter, over the whole conversation."""

    begun: int = 0
    adopted: int = 0
    wasted: int = 0


@dataclass(slots=True)
class ChatState:
    """The state of one chat. Its methods take in what happens; the screen reads the rest."""

    model: str = ""
    link: Link = Link.CONNECTING
    link_reason: str = ""
    inert_reason: str = ""
    """Why warming has no effect at this server; "" if it has."""
    draft: str = ""
    marks: DraftMarks = field(default_factory=DraftMarks)
    turns: list[Turn] = field(default_factory=list)
    warms: deque[FlushResult] = field(default_factory=lambda: deque(maxlen=WARMS_SHOWN))
    """The latest results of flushes, without those of which a later one took the place."""
    guesses: Guesses = field(default_factory=Guesses)
    cached_tokens: int = 0
    prompt_tokens: int = 0
    """Tokens of the prompt that no further typing changes, or those of the last answer's prompt."""
    edits: bool = False
    """Whether the last question is being edited."""

    @property
    def last_turn(self) -> Turn | None:
        """The latest turn."""
        return self.turns[-1] if self.turns else None

    @property
    def running(self) -> bool:
        """Whether an answer is running."""
        return self.last_turn is not None and self.last_turn.running

    def opened(self, opened: Opened) -> None:
        """Take in what the server says when a session opens."""
        self.model, self.inert_reason = opened.model, opened.warming_inert_reason
        self.prompt_tokens = max(self.prompt_tokens, opened.base_prompt_tokens)
        self.linked(Link.OPEN)

    def linked(self, link: Link, reason: str = "") -> None:
        """Take in the state of the connection, and why it is not open."""
        self.link, self.link_reason = link, reason

    def typed(self, draft: str) -> None:
        """Take in the whole draft after an edit."""
        if draft != self.draft:
            start, _, _ = smallest_replace(self.draft, draft)
            self.draft, self.marks = draft, self.marks.edited(start)

    def flushed(self, result: FlushResult) -> None:
        """Take in the result of a flush."""
        if result.outcome is not FlushOutcome.DEFERRED:
            self.warms.append(result)
            self.cached_tokens, self.prompt_tokens = result.cached_tokens, result.stable_tokens
        self.marks = self.marks.flushed(result, len(self.draft))

    def guessed(self, update: PregenerationUpdate) -> None:
        """Take in that an answer was begun before Enter, or what became of it."""
        self.marks = self.marks.guessed(update)
        if update.outcome is None:
            self.guesses.begun += 1
        elif update.outcome is PregenerationOutcome.ADOPTED:
            self.guesses.adopted += 1
        else:
            self.guesses.wasted += 1

    def submitted(self, question: str) -> Turn:
        """Begin a turn; the draft is empty, and what comes of the last turn's flushes is old."""
        self.draft, self.marks, self.edits = "", DraftMarks(), False
        self.turns.append(Turn(question))
        return self.turns[-1]

    def answered(self, turn: Turn) -> None:
        """Take in the report of an answer."""
        if turn.report is not None and turn.report.prompt_tokens:
            self.cached_tokens, self.prompt_tokens = turn.report.cached_tokens, turn.report.prompt_tokens
