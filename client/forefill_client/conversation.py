"""What a session knows: its messages, its draft, its answer, and how it opens a stream with them.

The first stream opens with what the caller gave. One that follows a broken stream opens with the draft and the messages
as they are by then. What was on its way is settled then:

    a flush                                   deferred: Open brings the draft
    an answer of which nothing has come       asked for again
    an answer of which a part has come        what follows is asked for; if another request cannot continue it, it fails
                                              with what came, and the question is the draft again
    an answer that was being cancelled        ends with what came
    a hand-off                                told to the next server, too; over if it was being ended
"""

from collections.abc import Callable

from forefill.v1 import keystroke_pb2 as pb

from .answer import Answer, Until, continuable, interrupted
from .composition import Composition, Events
from .errors import ForefillError, InvalidRequest, SessionEnded
from .handing_off import HandOffs
from .history import History
from .messages import message_to_wire
from .reasons import from_session_error
from .report import (
    FlushResult,
    Opened,
    PregenerationUpdate,
    opened_from_wire,
    pregeneration_update_from_wire,
)
from .tool_choice import check_known


class Conversation:
    """The caller's side of a session, and of each of its streams (`exchange.Side`)."""

    def __init__(
        self,
        opening: pb.Open,
        *,
        auto_flush: bool,
        on_flush: Callable[[FlushResult], None] | None,
        on_pregeneration: Callable[[PregenerationUpdate], None] | None = None,
        clock: Callable[[], float],
    ) -> None:
        self.composition = Composition(opening.draft, auto_flush=auto_flush)
        self.history = History(opening)
        self.hand_offs = HandOffs(opening, self.composition, self.history)
        self.opened: Opened | None = None
        self.resume_token = ""
        self.answer: Answer | None = None
        self._first_opening = opening
        self._on_flush = on_flush
        self._on_pregeneration = on_pregeneration
        self._clock = clock
        self._cancels: set[int] = set()
        # The answer to ask for again when the stream is open; what is submitted until then is on its way already.
        self._again: Answer | None = None
        # The error about an event that is neither a flush nor a submit: the next call raises it.
        self._unraised: ForefillError | None = None

    @property
    def answering(self) -> bool:
        """Whether an answer is still running."""
        return self.answer is not None and not self.answer.complete

    @property
    def cancelling(self) -> bool:
        """Whether an answer is still running that is to stop."""
        return self.answering and self.answer is not None and self.answer.cancelled

    def check(self) -> None:
        """Raise the server's error about an earlier event, once; or SessionEnded if nothing may follow."""
        if self.composition.ended:
            raise SessionEnded("the session has ended: open a new one", reason="SESSION_ENDED")
        if self._unraised is not None:
            error, self._unraised = self._unraised, None
            raise error

    def ask(self, events: Events, until: Until, cancel: Callable[[bool], None]) -> Answer:
        """Return the answer that these events ask for, the first of which is the submit, or asks without one."""
        self.answer = Answer(until, cancel, events[0], self._clock())
        return self.answer

    def cancel(self, *, keep_text: bool) -> Events:
        """Have the running answer stopped."""
        event = self.composition.cancel(keep_text=keep_text)
        self._cancels.add(event.seq)
        return [event]

    # The streams.

    @property
    def can_move(self) -> bool:
        """Whether another stream can go on with all that this one has: it is open, and no answer is running."""
        return self.opened is not None and not self.answering and not self.composition.ended

    def number(self) -> int:
        """Return the number of the last event."""
        return self.composition.number

    def opening(self) -> pb.Open:
        """Return how a stream opens now; what was on its way in an earlier one is settled."""
        if self.opened is None:
            return self._first_opening
        self._settle_answer()
        self.hand_offs.settle()
        self._again = self.answer if self.answering else None
        self.composition.begin_again()
        opening = pb.Open()
        opening.CopyFrom(self._first_opening)
        del opening.messages[:]
        opening.messages.extend(message_to_wire(message) for message in self.history.messages)
        opening.draft = self.composition.draft.text
        opening.session_key = self.opened.session_id
        opening.resume_token = self.resume_token
        return opening

    def hear(self, response: pb.ComposeResponse) -> Events:
        """Take in a response, and return the events that follow on it."""
        match response.WhichOneof("response"):
            case "opened":
                return self._hear_opened(response.opened)
            case "go_away":
                self.resume_token = response.go_away.resume_token
            case "flush_result":
                for result in self.composition.flush_answered(response.flush_result):
                    if self._on_flush is not None:
                        self._on_flush(result)
            case "pregeneration_update" if self._on_pregeneration is not None:
                self._on_pregeneration(pregeneration_update_from_wire(response.pregeneration_update))
            case "session_error":
                return self._hear_error(from_session_error(response.session_error))
            case "handed_off":
                self.hand_offs.hear_told(response.handed_off)
            case "generation_finished" if hand_off := self.hand_offs.at(response.generation_finished.seq):
                self.hand_offs.hear_settled(hand_off, response.generation_finished)
            case "generation_started" | "generation_delta" | "generation_finished" as kind:
                if self.answer is not None and getattr(response, kind).seq == self.answer.seq:
                    self._hear_answer(self.answer, response)
            case _:
                pass
        return []

    def _hear_opened(self, opened: pb.Opened) -> Events:
        choice = self._first_opening.tool_choice
        check_known(choice, accepted=opened.accepts_tool_choice, session_continues=False)
        is_first, self.opened = self.opened is None, opened_from_wire(opened)
        self.resume_token = opened.resume_token
        if is_first:
            return []
        again, self._again = self._again, None
        if again is not None and again.cancelled:
            self._end_cancelled(again)
        elif again is not None:
            return self._asking_again(again, opened)
        elif told := self.hand_offs.told_again():
            return told
        return self.composition.resumed()

    def _asking_again(self, answer: Answer, opened: pb.Opened) -> Events:
        """Ask for what follows after the part of an answer that has come, if this server can be asked as the first."""
        try:
            check_known(answer._choice, accepted=opened.accepts_tool_choice)
        except InvalidRequest as error:
            answer._fail(error)
            return [*self.composition.submit_refused(answer.submitted_text), *self.composition.resumed()]
        if not answer.submitted_text:
            events = [self.composition.respond(answer._choice, answer.text_so_far)]
        else:
            events = self.composition.submit_beside(answer.submitted_text, answer._choice, answer.text_so_far)
        answer._resume(events[0].seq)
        return [*events, self.composition.end()] if self.composition.ended else events

    def _hear_answer(self, answer: Answer, response: pb.ComposeResponse) -> None:
        answer._hear(response, self._clock())
        if answer.stays and response.HasField("generation_finished"):
            self.history.add(answer)

    def _hear_error(self, error: ForefillError) -> Events:
        if (events := self.hand_offs.hear_error(error)) is not None:
            return events
        if error.reason == "NOTHING_TO_CANCEL" and error.seq in self._cancels:  # the answer had just ended
            return []
        if self.answer is not None and error.seq == self.answer.seq:
            if error.reason == "SEQUENCE_GAP":  # a submit after a gap is carried out
                return []
            broken_off = self.answer.resumed and self.answer._begun
            self.answer._fail(interrupted(self.answer, str(error)) if broken_off else error)
            return self.composition.submit_refused(self.answer.submitted_text)
        events = self.composition.refused(error)
        if events is None:
            self._unraised = error
        return events or []

    def _settle_answer(self) -> None:
        """End an answer that cannot go on on another stream."""
        answer = self.answer
        if answer is None or answer.complete:
            return
        if answer.cancelled:
            self._end_cancelled(answer)
        elif answer._begun and not (answer._only_text and continuable(self._first_opening.sampling)):
            answer._fail(interrupted(answer, "no other request can continue the answer"))
            self.composition.submit_refused(answer.submitted_text)

    def _end_cancelled(self, answer: Answer) -> None:
        ended = pb.GenerationFinished(seq=answer.seq, reason=pb.FINISH_REASON_CANCELLED)
        self._hear_answer(answer, pb.ComposeResponse(generation_finished=ended))
