"""One stream as a pure state machine: events in, actions out.

A session waits for Open, then composes a draft. SUBMIT makes it generate, and so does Respond, without the draft; while
it does, the user may already type the next turn, or stop the answer. When that has ended it composes again, with a
conversation that has what was submitted and the answer, if that is complete or what came of it is kept. A SUBMIT that
fails gives its text back. END closes the session, after a running answer.

    WAITING ── Open ──> COMPOSING ── SUBMIT ──> GENERATING ── END ──> CLOSING
                         ^   │                      │                    │
                         │   └── END ──> CLOSED     │                    │
                         └───── answer ended ───────┘   answer ended ──> CLOSED

HandOff is SUBMIT by the application itself, with a request of its own. The session knows nothing of that request, so
what it says ends the hand-off at once:

    COMPOSING ── HandOff ──> HANDED_OFF ── END ──> CLOSED
        ^                        │
        └─ HandOffFinished, Cancel

Each row of `_ROWS` says what one event does in each phase. A refused event leaves the session as it was, but for its
number. Nothing here waits, reads a clock, or knows an engine.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from ..chat.generation import Structure
from ..chat.messages import ChatMessage, Conversation, ToolCall
from ..chat.tool_choice import ToolChoice, WantedChoice, allowed
from ..errors import Reason, Refusal
from .actions import (
    Action,
    BeginTurn,
    Close,
    Confirm,
    Defer,
    Drafted,
    Generate,
    HandOver,
    Hinted,
    Refuse,
    Settle,
    Stop,
)
from .boundary import Client
from .draft import Draft
from .events import (
    Cancel,
    CharAdd,
    CharDelete,
    Edit,
    End,
    Flush,
    HandOff,
    HandOffFinished,
    Hint,
    KeystrokeEvent,
    Open,
    Replace,
    Respond,
    Rewrite,
    Submit,
    Unknown,
)
from .rewriting import rewritten


class Phase(Enum):
    """The phase of a session."""

    WAITING = auto()
    COMPOSING = auto()
    GENERATING = auto()
    HANDED_OFF = auto()
    CLOSING = auto()
    CLOSED = auto()


class Session:
    """The state of one stream.

    `max_draft_code_points` bounds its draft, and `max_rewritten_code_points` what the client makes of it all.
    `offers_hand_off` says whether the application can be told how to reach the engine.
    """

    def __init__(
        self,
        max_draft_code_points: int,
        max_rewritten_code_points: int = 1 << 20,
        *,
        offers_hand_off: bool = True,
    ) -> None:
        self.offers_hand_off = offers_hand_off
        self.max_rewritten_code_points = max_rewritten_code_points
        self.phase = Phase.WAITING
        self.conversation = Conversation()
        self.structure: Structure | None = None
        self._draft = Draft(max_draft_code_points)
        self.submit_likely = False
        self.submitted: str | None = None
        self.keeps_text = False
        self.last_seq = 0

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """The conversation before the draft."""
        return self.conversation.messages

    @property
    def draft(self) -> str:
        """The draft's text."""
        return self._draft.text

    @property
    def confirmed(self) -> str:
        """The confirmed part of the draft."""
        return self._draft.confirmed

    @property
    def confirmed_code_points(self) -> int:
        """The length of that."""
        return self._draft.confirmed_code_points

    @property
    def client(self) -> Client:
        """What the client's edits have shown of input methods."""
        return self._draft.client

    def receive(self, event: Open | KeystrokeEvent | Unknown) -> list[Action]:
        """Take one event of the client and return what is to be done.

        Raises Refusal if the stream cannot go on: an event before Open (NOT_OPEN), an unusable Open.
        """
        seq, kind = (event.seq, event.kind) if isinstance(event, KeystrokeEvent) else (0, event)
        if self.phase is Phase.WAITING and not isinstance(kind, Open):
            raise Refusal(Reason.NOT_OPEN)
        actions: list[Action] = []
        if isinstance(event, KeystrokeEvent):
            if seq <= self.last_seq:
                return [self._refuse(Reason.SEQUENCE_REPEATED, seq)]
            if seq > self.last_seq + 1:
                actions.append(self._refuse(Reason.SEQUENCE_GAP, seq))
            self.last_seq = seq
        rule = RULES[self.phase, type(kind)]
        if isinstance(rule, Reason):
            return [*actions, self._refuse(rule, seq)]
        try:
            return actions + rule(self, seq, kind)
        except Refusal as refusal:
            if self.phase is Phase.WAITING:
                raise
            return [*actions, self._refuse(refusal.reason, seq, refusal.detail)]

    def answered(self, text: str, tool_calls: tuple[ToolCall, ...] = ()) -> list[Action]:
        """Take the complete answer: the next turn begins, or the session closes."""
        self.conversation = self.conversation.answered(self.submitted, text, tool_calls)
        return self._after_answer()

    def cancelled(self, text: str) -> list[Action]:
        """Take what was sent of an answer that was stopped: its text is kept, or the conversation stays as it was."""
        return self.answered(text) if self.keeps_text and text else self._after_answer()

    def answer_failed(self) -> list[Action]:
        """Record that there is no answer: the turn goes on with the conversation as it was, or the session closes.

        What was submitted is the draft again, unless another has been begun. Nothing is computed for it until the
        client asks: an engine that has just refused it is not asked again for a guess.
        """
        if self.draft or self.submitted is None:
            return self._after_answer()
        self._draft.take_back(self.submitted)
        return self._after_answer(drafted=False)

    def _after_answer(self, *, drafted: bool = True) -> list[Action]:
        if self.phase is Phase.CLOSING:
            self.phase = Phase.CLOSED
            return [Close()]
        self.phase = Phase.COMPOSING
        return self._begin_turn() if drafted else [BeginTurn(self.messages, self.confirmed)]

    def _begin_turn(self) -> list[Action]:
        drafted: list[Action] = [self._drafted()] if self.draft else []
        hinted: list[Action] = [Hinted(True)] if self.submit_likely else []
        return [BeginTurn(self.messages, self.confirmed), *drafted, *hinted]

    def _drafted(self) -> Drafted:
        return Drafted(self.draft, self._draft.composed_code_points)

    def _refuse(self, reason: Reason, seq: int, detail: str = "") -> Refuse:
        return Refuse(reason, seq, len(self.draft), detail)

    def _open(self, seq: int, opening: Open) -> list[Action]:
        self._draft.open(opening.draft)
        self.conversation, self.structure = opening.conversation(opening.messages), opening.sampling.structure
        self.phase = Phase.COMPOSING
        return self._begin_turn()

    def _edit(self, seq: int, edit: Edit) -> list[Action]:
        text, confirmed_code_points = self.draft, self.confirmed_code_points
        self._draft.edit(edit)
        actions: list[Action] = []
        if self.confirmed_code_points < confirmed_code_points:
            actions.append(Confirm(None, self.confirmed))
        if self.draft != text:
            self.submit_likely = False
            actions.append(self._drafted())
        return actions if self.phase is Phase.COMPOSING else []  # the next turn begins with what it is by then

    def _flush(self, seq: int, flush: Flush) -> list[Action]:
        self._draft.flush(flush)
        composing = self.phase is Phase.COMPOSING
        return [Confirm(seq, self.confirmed) if composing else Defer(seq, self.confirmed_code_points)]

    def _hint(self, seq: int, hint: Hint) -> list[Action]:
        same = hint.likely == self.submit_likely
        self.submit_likely = hint.likely
        return [] if same or self.phase is not Phase.COMPOSING else [Hinted(hint.likely)]

    def _submit(self, seq: int, submit: Submit) -> list[Action]:
        choice = self._allowed(submit.tool_choice)
        return [Generate(seq, self._enter(submit.text, Phase.GENERATING), submit.answer_so_far, choice)]

    def _respond(self, seq: int, respond: Respond) -> list[Action]:
        if not self.messages:
            raise Refusal(Reason.EMPTY_SUBMIT)
        choice = self._allowed(respond.tool_choice)
        self.submitted, self.keeps_text, self.phase = None, False, Phase.GENERATING
        return [Generate(seq, None, respond.answer_so_far, choice)]

    def _allowed(self, wanted: WantedChoice | None) -> ToolChoice | None:
        return None if wanted is None else allowed(wanted, self.conversation.tools, self.structure)

    def _enter(self, text: str | None, phase: Phase) -> str:
        submitted = self._draft.enter(text)
        self.submit_likely = False
        self.submitted, self.keeps_text, self.phase = submitted, False, phase
        return submitted

    def _hand_off(self, seq: int, hand_off: HandOff) -> list[Action]:
        if not self.offers_hand_off:
            raise Refusal(Reason.HAND_OFF_NOT_OFFERED)
        choice = self._allowed(hand_off.tool_choice)
        return [HandOver(seq, self._enter(hand_off.text, Phase.HANDED_OFF), choice)]

    def _finish_hand_off(self, seq: int, finished: HandOffFinished) -> list[Action]:
        if not finished.messages:
            return [Settle(finished.usage), *self.answer_failed()]
        self._rewrite_after(len(self.messages), finished.messages, Reason.INVALID_HAND_OFF)
        return [Settle(finished.usage, answered=True), *self._after_answer()]

    def _take_back(self, seq: int, cancel: Cancel) -> list[Action]:
        return [Settle(), *self._after_answer()]

    def _cancel(self, seq: int, cancel: Cancel) -> list[Action]:
        self.keeps_text = cancel.keep_text
        return [Stop()]

    def _rewrite(self, seq: int, rewrite: Rewrite) -> list[Action]:
        self._rewrite_after(rewrite.keep_messages, rewrite.messages, Reason.INVALID_REWRITE)
        return self._begin_turn()

    def _rewrite_after(self, keep_messages: int, added: tuple[ChatMessage, ...], reason: Reason) -> None:
        most = self.max_rewritten_code_points
        self.conversation = rewritten(self.conversation, keep_messages, added, most, reason)

    def _end(self, seq: int, end: End) -> list[Action]:
        if self.phase is Phase.GENERATING:
            self.phase = Phase.CLOSING
            return []
        taken_back: list[Action] = [Settle()] if self.phase is Phase.HANDED_OFF else []
        self.phase = Phase.CLOSED
        return [*taken_back, Close()]


Rule = Callable[[Session, int, Any], list[Action]]

EDIT, FLUSH, HINT, END = Session._edit, Session._flush, Session._hint, Session._end
SUBMIT, RESPOND = Session._submit, Session._respond
CANCEL, REWRITE, HAND_OFF = Session._cancel, Session._rewrite, Session._hand_off
FINISH, TAKE_BACK = Session._finish_hand_off, Session._take_back
OPENED, RUNNING, NO_ANSWER, NO_HAND_OFF, ENDED, MISSING = (
    Reason.ALREADY_OPEN,
    Reason.GENERATION_RUNNING,
    Reason.NOTHING_TO_CANCEL,
    Reason.NOTHING_HANDED_OFF,
    Reason.SESSION_ENDED,
    Reason.EVENT_MISSING,
)
_PHASES = (Phase.COMPOSING, Phase.GENERATING, Phase.HANDED_OFF, Phase.CLOSING, Phase.CLOSED)
_ROWS: dict[type, tuple[Rule | Reason, ...]] = {
    #                 COMPOSING    GENERATING   HANDED_OFF   CLOSING  CLOSED
    Open:            (OPENED,      OPENED,      OPENED,      OPENED,  OPENED),
    CharAdd:         (EDIT,        EDIT,        EDIT,        ENDED,   ENDED),
    CharDelete:      (EDIT,        EDIT,        EDIT,        ENDED,   ENDED),
    Replace:         (EDIT,        EDIT,        EDIT,        ENDED,   ENDED),
    Flush:           (FLUSH,       FLUSH,       FLUSH,       ENDED,   ENDED),
    Hint:            (HINT,        HINT,        HINT,        ENDED,   ENDED),
    Submit:          (SUBMIT,      RUNNING,     RUNNING,     ENDED,   ENDED),
    Respond:         (RESPOND,     RUNNING,     RUNNING,     ENDED,   ENDED),
    Cancel:          (NO_ANSWER,   CANCEL,      TAKE_BACK,   CANCEL,  ENDED),
    Rewrite:         (REWRITE,     RUNNING,     RUNNING,     ENDED,   ENDED),
    HandOff:         (HAND_OFF,    RUNNING,     RUNNING,     ENDED,   ENDED),
    HandOffFinished: (NO_HAND_OFF, NO_HAND_OFF, FINISH,      ENDED,   ENDED),
    End:             (END,         END,         END,         ENDED,   ENDED),
    Unknown:         (MISSING,     MISSING,     MISSING,     MISSING, MISSING),
}  # fmt: skip

RULES: dict[tuple[Phase, type], Rule | Reason] = {
    (Phase.WAITING, Open): Session._open,  # anything else ends the stream: NOT_OPEN
    **{(phase, kind): rule for kind, row in _ROWS.items() for phase, rule in zip(_PHASES, row, strict=True)},
}
