"""A client that believes all that its session says, and holds it against what it did and what the engine saw."""

from collections import Counter

from forefill_service.chat.messages import ChatMessage
from forefill_service.errors import Reason
from forefill_service.session.events import CharAdd, CharDelete
from forefill_service.session.responses import (
    CANCELLED,
    HANDED_OFF,
    FlushOutcome,
    FlushResult,
    GenerationDelta,
    GenerationFinished,
    GenerationStarted,
    HandedOff,
    Opened,
    Response,
    SessionError,
)

from .stage import BLOCK, Stage, assistant, user
from .watched_engine import WatchedEngine


class CarefulClient:
    """What the client of a session on its stage did, by the numbers of its events, and what it knows.

    `submits` has the text of each SUBMIT and HandOff, and None for what asks for an answer without the draft.
    """

    def __init__(self, stage: Stage, watched: WatchedEngine) -> None:
        self.stage = stage
        self.watched = watched
        self.read = 0  # responses that it has taken in
        self.turn: tuple[ChatMessage, ...] = ()
        self.flushes: list[int] = []
        self.submits: dict[int, str | None] = {}
        self.cancels: set[int] = set()
        self.running: int | None = None  # the one of `submits` that is not answered yet
        self.handed_off = False  # whether that is a HandOff
        self.gets: tuple[ChatMessage, ...] | None = None  # what came of that, by the first word about it
        self.finishes: set[int] = set()
        self.answers: Counter[int] = Counter()
        self.unaware: set[int] = set()  # FLUSHes that were sent before it was known that a SUBMIT had failed
        self.ended = False

    def asks(self, seq: int, text: str | None, *, handed_off: bool = False) -> None:
        """Record what asks for an answer; nothing is asked for by an empty text."""
        self.submits[seq] = text
        if text == "":
            return
        self.running, self.handed_off, self.gets = seq, handed_off, None
        if text is not None:
            self.stage.draft = ""

    def question(self, seq: int) -> tuple[ChatMessage, ...]:
        """Return what is asked at the end of the conversation."""
        text = self.submits[seq]
        return () if text is None else (user(text),)

    def prompt_ids(self, seq: int) -> list[int]:
        """Return the ids of the prompt that one of `submits` asks for now."""
        return self.stage.prompt_ids(*self.turn, *self.question(seq))

    def keeps_text(self, seq: int | None) -> bool:
        """Whether it keeps an answer that it cancels: the same for all Cancels of one answer."""
        return bool((seq or 0) % 2)

    def takes_in(self) -> None:
        """Take in what was said since the last look."""
        for response in self.stage.said[self.read :]:
            self._hears(response)
            self.read += 1
        assert all(count == 1 for count in self.answers.values())

    def _hears(self, response: Response) -> None:
        match response:
            case Opened():
                assert self.read == 0
            case FlushResult(seq):
                assert seq in self.flushes, "a pause is answered by nothing"
                assert response.outcome is not FlushOutcome.INERT
                assert response.cached_tokens <= response.stable_tokens
                assert response.outcome is not FlushOutcome.NOTHING_NEW or response.computed_tokens == 0
                self.answers[seq] += 1
            case GenerationStarted(seq) | GenerationDelta(seq):
                assert seq == self.running
                assert not self.handed_off
            case HandedOff(seq):
                assert seq == self.running
                assert self.handed_off
                assert response.cached_tokens % BLOCK == 0
                assert response.cached_tokens < len(self.prompt_ids(seq))
            case GenerationFinished(seq):
                assert seq == self.running
                self.answers[seq] += 1
                self._check_books(response)
                if self.handed_off:
                    self._gets_what_was_reported(response)
                else:
                    self._gets_answer(response)
                self.running, self.handed_off = None, False
            case SessionError():
                self._is_refused(response)

    def _gets_what_was_reported(self, finished: GenerationFinished) -> None:
        if finished.reason == CANCELLED:
            assert self.cancels or self.ended
        else:
            self.turn += self.gets or ()

    def _gets_answer(self, finished: GenerationFinished) -> None:
        seq = finished.seq
        said = "".join(delta.text for delta in self.stage.all(GenerationDelta) if delta.seq == seq)
        if finished.reason == CANCELLED:
            assert self.cancels
        if finished.reason != CANCELLED or (said and self.keeps_text(seq)):
            self.turn += (*self.question(seq), assistant(said))

    def _is_refused(self, error: SessionError) -> None:
        match error:
            case SessionError(Reason.NOTHING_TO_CANCEL, _, seq):
                assert seq in self.cancels
            case SessionError(Reason.NOTHING_HANDED_OFF, _, seq):
                assert seq in self.finishes
            case SessionError(Reason.DRAFT_DIVERGED, _, seq):
                assert seq in self.unaware, "the server's draft is the client's"
                self.answers[seq] += 1
            case SessionError(reason, _, seq):
                empty = self.submits[seq] == ""
                expected = {Reason.EMPTY_SUBMIT} if empty else {Reason.GENERATION_FAILED, Reason.PROMPT_TOO_LONG}
                assert reason in expected, "a client that waits for its answer is never told to wait"
                self.answers[seq] += 1
                if not empty:
                    self.running = None
                    self._gets_back(seq)

    def _gets_back(self, seq: int) -> None:
        """Do as a client whose box has the text of a failed SUBMIT again, unless something was typed since."""
        if not (text := self.submits[seq]) or self.ended:
            return
        self.unaware |= {flush for flush in self.flushes if flush > seq}
        draft = self.stage.draft or text
        self.stage.put(CharDelete(10_000))
        self.stage.put(CharAdd(draft))

    def _check_books(self, finished: GenerationFinished) -> None:
        books = finished.ledger
        rows = (books.used, books.edited_away, books.evicted, books.abandoned)
        assert min(rows) >= 0
        assert sum(rows) == books.computed
        assert books.used <= finished.cached_tokens
        if finished.reason in (CANCELLED, HANDED_OFF):  # the engine has not said what it found, or not to us
            return
        generation = self.watched.generations[-1]
        assert finished.cached_tokens == generation.cached_tokens
        assert finished.prompt_tokens == len(generation.request.prompt_ids)
