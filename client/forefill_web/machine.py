"""One conversation as its browser sees it: messages in, actions out. Pure: no clock, no await, no socket.

A message does in each stage what `RULES` says:

    message      IDLE            ANSWERING        OVER
    open         refuse_open     refuse_open      pass_over
    edit         edit            edit             pass_over
    draft        take_draft      take_draft       pass_over
    hint         hint            hint             pass_over
    submit       submit          refuse_turn      pass_over
    regenerate   regenerate      refuse_turn      pass_over
    rewrite      rewrite         refuse_rewrite   pass_over
    cancel       pass_over       cancel           pass_over
    twin         measure         measure          pass_over
    end          end             end              pass_over

Turns. The browser numbers what asks for answers, so that it can ask again after a broken socket, when it cannot know
what was heard. A number that was asked before is not asked again: if its answer has ended, how it ended is said again.

Sockets. The conversation does not know whether it has one. What it sends while there is none is lost, and `attached`
says to the next one what that has to know: how the last answer ended. Of one that runs, `opened` has what has come.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from forefill_client import (
    AnswerPart,
    FlushResult,
    ForefillError,
    PregenerationUpdate,
    Report,
    SessionState,
    Started,
)

from . import messages as said
from . import replies
from .actions import Action, Ask, CloseSocket, Measure, Rewrite, Send, SetDraft, SetHint, Stop
from .box import Box, Outcome
from .replies import Reply
from .running_answer import RunningAnswer

OVER_FOR_GOOD: Final = 1008
"""The socket's code after an error that another try cannot cure."""
TRY_LATER: Final = 1013
DONE: Final = 1000


class Stage(Enum):
    """What the conversation is doing."""

    IDLE = "idle"
    ANSWERING = "answering"
    OVER = "over"


class Machine:
    """The state of one conversation, but for its messages, which the session has."""

    def __init__(self, max_code_points: int) -> None:
        self.stage = Stage.IDLE
        self.box = Box(max_code_points)
        self.turn = 0
        self.answer: RunningAnswer | None = None
        self.ending: Reply | None = None
        """How the last turn ended."""
        self.session_state = SessionState.OPEN

    # From the browser.

    def receive(self, message: said.Message, now: float) -> list[Action]:
        """Take in a message; `now` is in seconds."""
        return RULES[type(message)][self.stage](self, message, now)

    def attached(self, draft: str) -> list[Action]:
        """Return what a socket is told after `opened`; its box wins."""
        actions: list[Action] = []
        if self.session_state is not SessionState.OPEN:
            actions.append(Send(replies.state(self.session_state, None)))
        if self.ending is not None:
            actions.append(Send(self.ending))
        return actions + self._drafted(self.box.replace(draft), composing=False)

    def _pass_over(self, *_: object) -> list[Action]:
        return []

    def _refuse_open(self, *_: object) -> list[Action]:
        message = "the socket is open already: use another one"
        return [Send(replies.error_of("ALREADY_OPEN", message)), CloseSocket(OVER_FOR_GOOD)]

    def _edit(self, edit: said.Edit, _: float) -> list[Action]:
        return self._drafted(self.box.edit(edit), edit.composing)

    def _take_draft(self, draft: said.Draft, _: float) -> list[Action]:
        return self._drafted(self.box.replace(draft.text), draft.composing)

    def _drafted(self, outcome: Outcome, composing: bool) -> list[Action]:
        match outcome:
            case Outcome.DONE:
                return [SetDraft(self.box.draft, composing)]
            case Outcome.DIVERGED:
                return [Send({"type": "resync"})]
            case Outcome.TOO_LONG:
                message = f"a draft may have {self.box.max_code_points} code points: shorten it"
                return [Send(replies.error_of("DRAFT_TOO_LONG", message, continues=True))]
            case Outcome.PASSED_OVER:
                return []

    def _hint(self, hint: said.Hint, _: float) -> list[Action]:
        return [SetHint(hint.likely)]

    def _submit(self, submit: said.Submit, now: float) -> list[Action]:
        if submit.turn <= self.turn:
            return self._say_again(submit.turn)
        self.box.clear()
        return self._ask(submit.turn, submit.text, now)

    def _regenerate(self, regenerate: said.Regenerate, now: float) -> list[Action]:
        if regenerate.turn <= self.turn:
            return self._say_again(regenerate.turn)
        return self._ask(regenerate.turn, None, now)

    def _ask(self, turn: int, text: str | None, now: float) -> list[Action]:
        self.stage, self.turn, self.ending = Stage.ANSWERING, turn, None
        self.answer = RunningAnswer(turn, text or "", now)
        return [Ask(turn, text)]

    def _say_again(self, turn: int) -> list[Action]:
        return [Send(self.ending)] if turn == self.turn and self.ending is not None else []

    def _refuse_turn(self, message: said.Submit | said.Regenerate, _: float) -> list[Action]:
        return [] if message.turn <= self.turn else [Send(_busy(message.turn))]

    def _refuse_rewrite(self, *_: object) -> list[Action]:
        return [Send(_busy(None))]

    def _rewrite(self, rewrite: said.Rewrite, _: float) -> list[Action]:
        return [Rewrite(rewrite.keep, rewrite.messages)]

    def _cancel(self, cancel: said.Cancel, _: float) -> list[Action]:
        return [Stop(cancel.keep_text)] if cancel.turn == self.turn else []

    def _measure(self, twin: said.Twin, _: float) -> list[Action]:
        return [Measure(twin.turn)]

    def _end(self, *_: object) -> list[Action]:
        self._over()
        return [CloseSocket(DONE)]

    # From the session.

    def flushed(self, result: FlushResult) -> list[Action]:
        """Take in the result of a flush."""
        return [Send(replies.flush(result))]

    def guessed(self, update: PregenerationUpdate) -> list[Action]:
        """Take in that an answer was begun before submit, or what became of it."""
        return [Send(replies.guess(update))]

    def moved(self, state: SessionState, reason: ForefillError | None) -> list[Action]:
        """Take in that the session's stream broke, or that it goes on."""
        if state in (self.session_state, SessionState.CLOSED):
            return []
        self.session_state = state
        return [Send(replies.state(state, reason))]

    def came(self, turn: int, part: AnswerPart, started: Started | None, now: float) -> list[Action]:
        """Take in a part of an answer; with the first comes how the answer was begun."""
        answer = self._running(turn)
        if answer is None:
            return []
        actions: list[Action] = []
        if answer.started is None:
            actions.append(Send(answer.start(started, now)))
        answer.add(part)
        return [*actions, Send(replies.delta(turn, part))]

    def ttft_ms(self, turn: int, now: float) -> float | None:
        """Return how long the first token of an answer took if it comes now; None if one has come."""
        answer = self._running(turn)
        return None if answer is None or answer.started is not None else (now - answer.asked_at) * 1000

    def asked(self, turn: int, text: str) -> None:
        """Take in to which text an answer is asked for: that of one to be given once more is known to the session."""
        if (answer := self._running(turn)) is not None:
            answer.submitted_text = text

    def finished(self, turn: int, report: Report, ledger: Sequence[str]) -> list[Action]:
        """Take in the end of an answer, with its ledger in words."""
        return self._ended(turn, replies.finished(turn, report, ledger))

    def failed(self, turn: int, error: ForefillError) -> list[Action]:
        """Take in that an answer failed, and the session with it if the error says so."""
        actions = self._ended(turn, replies.error(error, turn))
        return actions if error.session_continues else actions + self._closed_by(error)

    def broken(self, error: ForefillError) -> list[Action]:
        """Take in what ended the session."""
        return [] if self.stage is Stage.OVER else [Send(replies.error(error)), *self._closed_by(error)]

    def _running(self, turn: int) -> RunningAnswer | None:
        return self.answer if self.answer is not None and self.answer.turn == turn else None

    def _ended(self, turn: int, ending: Reply) -> list[Action]:
        if self._running(turn) is None:
            return []
        self.stage, self.answer, self.ending = Stage.IDLE, None, ending
        return [Send(ending)]

    def _closed_by(self, error: ForefillError) -> list[Action]:
        self._over()
        return [CloseSocket(TRY_LATER if error.retryable else OVER_FOR_GOOD)]

    def _over(self) -> None:
        self.stage, self.answer = Stage.OVER, None


def _busy(turn: int | None) -> Reply:
    message = "an answer is still running: wait for its end, or cancel it"
    return replies.error_of("GENERATION_RUNNING", message, turn, continues=True)


Rule = Callable[[Machine, Any, float], list[Action]]


def _row(idle: Rule, answering: Rule) -> Mapping[Stage, Rule]:
    return {Stage.IDLE: idle, Stage.ANSWERING: answering, Stage.OVER: Machine._pass_over}


RULES: Final[Mapping[type[said.Message], Mapping[Stage, Rule]]] = {
    said.Open: _row(Machine._refuse_open, Machine._refuse_open),
    said.Edit: _row(Machine._edit, Machine._edit),
    said.Draft: _row(Machine._take_draft, Machine._take_draft),
    said.Hint: _row(Machine._hint, Machine._hint),
    said.Submit: _row(Machine._submit, Machine._refuse_turn),
    said.Regenerate: _row(Machine._regenerate, Machine._refuse_turn),
    said.Rewrite: _row(Machine._rewrite, Machine._refuse_rewrite),
    said.Cancel: _row(Machine._pass_over, Machine._cancel),
    said.Twin: _row(Machine._measure, Machine._measure),
    said.End: _row(Machine._end, Machine._end),
}
