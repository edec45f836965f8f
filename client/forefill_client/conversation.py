"""What a session knows: its messages, its draft, its answer, and how it opens a stream with them.

The first stream opens with what the caller gave. One that follows a broken stream opens with the draft and the messages
as they are by then. What was on its way is settled then:

    a flush                                   deferred: Open brings the draft
    an answer of which nothing has come       asked for again
    an answer of which a part has come        what follows is asked for; if another request cannot continue it, it fails
                                              with what came, and the question is the draft again
    an answer that was being cancelled        ends with what came
"""

from collections.abc import Callable

from forefill.v1 import keystroke_pb2 as pb

from .answer import Answer, Until
from .composition import Composition, Events
from .errors import ForefillError, GenerationInterrupted, SessionEnded, from_session_error
from .options import ChatMessage, message_to_wire
from .report import FlushResult, Opened, opened_from_wire


class Conversation:
    """The caller's side of a session, and of each of its streams (`exchange.Side`)."""

    def __init__(
        self,
        opening: pb.Open,
        *,
        auto_flush: bool,
        on_flush: Callable[[FlushResult], None] | None,
        clock: Callable[[], float],
    ) -> None:
        self.composition = Composition(opening.draft, auto_flush=auto_flush)
        self.messages = tuple(ChatMessage(message.role, message.content) for message in opening.messages)
        self.opened: Opened | None = None
        self.resume_token = ""
        self.answer: Answer | None = None
        self._first_opening = opening
        self._on_flush = on_flush
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
        """Return the answer that these events ask for, the first of which is the submit."""
        self.answer = Answer(until, cancel, events[0].seq, events[0].submit.text, self._clock())
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
        self._again = self.answer if self.answering else None
        self.composition.begin_again()
        opening = pb.Open()
        opening.CopyFrom(self._first_opening)
        del opening.messages[:]
        opening.messages.extend(message_to_wire(message) for message in self.messages)
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
            case "session_error":
                return self._hear_error(from_session_error(response.session_error))
            case _ if self.answer is not None:
                self._hear_answer(self.answer, response)
            case _:
                pass
        return []

    def _hear_opened(self, opened: pb.Opened) -> Events:
        is_first, self.opened = self.opened is None, opened_from_wire(opened)
        self.resume_token = opened.resume_token
        if is_first:
            return []
        again, self._again = self._again, None
        if again is not None and again.cancelled:
            self._end_cancelled(again)
        elif again is not None:
            events = self.composition.submit_beside(again.submitted_text, again.text_so_far)
            again._resume(events[0].seq)
            return [*events, self.composition.end()] if self.composition.ended else events
        return self.composition.resumed()

    def _hear_answer(self, answer: Answer, response: pb.ComposeResponse) -> None:
        answer._hear(response, self._clock())
        if answer.stays and response.HasField("generation_finished"):
            self.messages += (ChatMessage("user", answer.submitted_text), ChatMessage("assistant", answer.text_so_far))

    def _hear_error(self, error: ForefillError) -> Events:
        if error.reason == "NOTHING_TO_CANCEL" and error.seq in self._cancels:  # the answer had just ended
            return []
        if self.answer is not None and error.seq == self.answer.seq:
            if error.reason == "SEQUENCE_GAP":  # a submit after a gap is carried out
                return []
            broken_off = self.answer.resumed and self.answer._begun
            self.answer._fail(_interrupted(self.answer, str(error)) if broken_off else error)
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
        elif answer._begun and not (answer._only_text and _continuable(self._first_opening.sampling)):
            answer._fail(_interrupted(answer, "no other request can continue the answer"))
            self.composition.submit_refused(answer.submitted_text)

    def _end_cancelled(self, answer: Answer) -> None:
        ended = pb.GenerationFinished(seq=answer.seq, reason=pb.FINISH_REASON_CANCELLED)
        self._hear_answer(answer, pb.ComposeResponse(generation_finished=ended))


def _interrupted(answer: Answer, cause: str) -> ForefillError:
    error = GenerationInterrupted(
        f"the connection was lost in mid-answer ({cause}); the session goes on: keep what came, or submit again",
        session_continues=True,
        seq=answer.seq,
    )
    error.text = answer.text_so_far
    return error


def _continuable(sampling: pb.Sampling) -> bool:
    """Tell whether a second request can continue an answer as the first one would have."""
    greedy = sampling.HasField("temperature") and sampling.temperature == 0
    penalized = sampling.presence_penalty or sampling.frequency_penalty
    return not (penalized or sampling.stop or sampling.bad_words or (sampling.HasField("seed") and not greedy))
