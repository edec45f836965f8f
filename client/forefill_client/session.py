"""One session on one stream: the draft's edits go out, numbered; what comes of them comes back.

Calls change the draft and put an event into the outbox in one step without an await, so that events leave in the order
of the calls. gRPC takes them from there. One reader task, owned by the session, takes in what the server says and wakes
whoever waits. All waiting is done in `_until`, which ends when its condition holds or when the stream ends.

The server's draft is a copy. Where the server finds that it differs (it checks length and checksum at each flush), the
session sends the whole draft again and repeats the flush: it empties the server's draft, whatever that holds when the
event arrives, and adds the text. Replacing as many code points as the server last reported would miss the edits that
are still on their way.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Final, Self, cast

from forefill.v1 import keystroke_pb2 as pb

from .answer import Answer
from .draft import Draft, smallest_replace
from .errors import (
    REASONS,
    Aborted,
    DraftTooLong,
    EmptySubmit,
    ForefillError,
    GenerationRunning,
    NotReachable,
    SessionEnded,
    Unavailable,
    from_session_error,
)
from .flushes import Flush, Flushes, superseded
from .options import checked_text
from .report import FlushResult, Opened, opened_from_wire
from .stream import Compose, Stream

END_TIMEOUT_SECONDS: Final = 5.0
"""How long a server may take to close the stream after END."""
MAX_UNSENT_EVENTS: Final = 64
"""Calls wait while more events than these are unsent, so that a slow connection slows its caller."""
MAX_REPAIRS_IN_A_ROW: Final = 3
"""A draft that still differs after so many repairs is left alone until the next submit."""
EVERYTHING: Final = 2**32 - 1
"""More code points than a draft can have: a CHAR_DELETE of these empties it."""


class Session:
    """A user's box at the server: edit the draft, submit it, read the answer, and go on with the next turn.

    Made by `AsyncClient.session`; an async context manager. Leaving it normally ends the session in good order; leaving
    it with an exception, or with an answer unread, cancels it. Any call may raise what has ended the session.
    """

    def __init__(
        self,
        compose: Compose,
        opening: pb.Open,
        *,
        auto_flush: bool,
        on_flush: Callable[[FlushResult], None] | None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._compose = compose
        self._opening = opening
        self._auto_flush = auto_flush
        self._on_flush = on_flush
        self._clock = clock
        self._began_at = clock()

        self._draft = Draft(opening.draft)
        self._seq = 0
        self._outbox: deque[pb.ComposeRequest] = deque()
        self._ending = False

        self._opened: Opened | None = None
        self._answer: Answer | None = None
        self._flushes = Flushes()
        # Events up to this one were sent before the latest repair or submit, which mends whatever they broke.
        self._mended_through = 0
        self._repair_flush: int | None = None
        self._repairs_in_a_row = 0
        self._repairs = 0
        self._unraised: ForefillError | None = None

        self._changed = asyncio.Event()
        self._failure: ForefillError | None = None
        self._stream: Stream | None = None
        self._reader: asyncio.Task[None] | None = None

    # What a caller can see.

    @property
    def draft(self) -> str:
        """The text in the user's box."""
        return self._draft.text

    @property
    def opened(self) -> Opened:
        """What the session works with."""
        if self._opened is None:
            raise RuntimeError("the session is not open yet: enter it with `async with` first")
        return self._opened

    @property
    def flush_results(self) -> tuple[FlushResult, ...]:
        """What became of this turn's flushes so far, in the order in which they were sent."""
        return self._flushes.results()

    @property
    def repairs(self) -> int:
        """How often the server's draft was found to differ and was sent again."""
        return self._repairs

    # What a caller can do.

    async def type(self, text: str) -> None:
        """Append to the draft: one character, or what an input method or a paste gave at once."""
        self._check_usable()
        self._check_length(len(self._draft.text) + len(text))
        self._draft.add(text)
        if text:
            self._send(char_add=pb.CharAdd(text=text))
        await self._edited()

    async def delete(self, count: int = 1) -> None:
        """Remove code points from the draft's end; on an empty draft it does nothing."""
        self._check_usable()
        if removed := self._draft.delete(count):
            self._send(char_delete=pb.CharDelete(count=removed))
        await self._edited()

    async def replace(self, start: int, end: int, text: str) -> None:
        """Put `text` in place of the code points from `start` to before `end`."""
        self._check_usable()
        self._check_length(len(self._draft.text) + len(text) - max(0, end - start))
        self._draft.replace(start, end, text)
        if text or end > start:
            self._send(replace=pb.Replace(start=start, end=end, text=text))
        await self._edited()

    async def set_draft(self, text: str) -> None:
        """Make the draft `text`, sending only where it differs: for a text box that tells its whole content."""
        checked_text(text)
        await self.replace(*smallest_replace(self._draft.text, text))

    async def flush(self, confirmed: int | None = None) -> int:
        """Let the server warm the first `confirmed` code points; default: up to the last word boundary.

        Returns the flush's number, for `flushed`. Without `auto_flush=False` a session flushes by itself.
        """
        self._check_usable()
        seq = self._flush(self._draft.boundary_to_confirm() if confirmed is None else confirmed)
        await self._sent()
        return seq

    async def flushed(self, seq: int) -> FlushResult:
        """Wait for what became of one flush of this turn."""
        flush = self._flushes.get(seq)
        if flush is None:
            raise ValueError(f"{seq} is no flush of this turn: pass what flush() returned")
        await self._until(lambda: flush.answered)
        if flush.error is not None:
            raise flush.error
        return cast("FlushResult", flush.result)

    async def submit(self, text: str | None = None) -> Answer:
        """Ask for the answer to `text`; default: the draft. The draft is then empty, for the next turn.

        The answer raises what the server has against it: where `session_continues`, the session still stands, and the
        text is in the draft again unless something else was typed since.
        """
        self._check_usable()
        if self._answer is not None and not self._answer.complete:
            raise GenerationRunning(
                "an answer is still running: iterate it to its end first",
                session_continues=True,
                reason="GENERATION_RUNNING",
            )
        text = checked_text(self._draft.text if text is None else text)
        if not text:
            raise EmptySubmit(
                "there is nothing to submit: type something first, or pass the text",
                session_continues=True,
                reason="EMPTY_SUBMIT",
            )
        self._check_length(len(text))
        submitted_at = self._clock()
        seq = self._send(submit=pb.Submit(text=text))
        answer = self._answer = Answer(self, seq, text, submitted_at)
        self._begin_turn(seq)
        await self._sent()
        return answer

    async def end(self) -> None:
        """Close the session in good order, after a running answer; nothing can be sent any more."""
        if self._reader is None or self._ending:
            return
        if self._failure is None:
            self._send(end=pb.End())
            self._ending = True
            self._wake()
            answer = self._answer
            if answer is not None and not answer.complete:
                await self._until(lambda: answer.complete)
            await asyncio.wait({self._reader}, timeout=END_TIMEOUT_SECONDS)
        await self._stop(SessionEnded("the session has ended: open a new one"))

    async def __aenter__(self) -> Self:
        if self._reader is not None:
            raise RuntimeError("a session is entered once: make a new one with AsyncClient.session")
        self._began_at = self._clock()
        self._stream = Stream(self._compose, self._requests())
        self._reader = asyncio.create_task(self._read(self._stream), name="forefill-session-reader")
        try:
            await self._until(lambda: self._opened is not None)
            self._check_length(len(self._draft.text))
        except BaseException:
            await self._stop(Aborted("the session was not opened"))
            raise
        if self._auto_flush:
            self._flush_at_boundary()
        return self

    async def __aexit__(self, exc_type: object, exc: BaseException | None, traceback: TracebackType | None) -> None:
        unread = self._answer is not None and not self._answer.complete
        try:
            if exc is None and not unread:
                await self.end()
        finally:
            await self._stop(Aborted("the session was left and its stream cancelled: open a new one"))

    # Sending.

    def _send(self, **kind: Any) -> int:
        """Put one event into the outbox and return its number."""
        self._seq += 1
        timestamp_ms = (self._clock() - self._began_at) * 1000
        event = pb.KeystrokeEvent(seq=self._seq, timestamp_ms=timestamp_ms, **kind)
        self._outbox.append(pb.ComposeRequest(event=event))
        self._wake()
        return self._seq

    async def _requests(self) -> AsyncIterator[pb.ComposeRequest]:
        """Yield what goes out, until END; gRPC then closes our side of the stream."""
        yield pb.ComposeRequest(open=self._opening)
        while True:
            while self._outbox:
                yield self._outbox.popleft()
                self._wake()
            if self._ending:
                return
            await self._until(lambda: bool(self._outbox) or self._ending)

    async def _sent(self) -> None:
        await self._until(lambda: len(self._outbox) <= MAX_UNSENT_EVENTS)

    async def _edited(self) -> None:
        if self._auto_flush:
            self._flush_at_boundary()
        await self._sent()

    def _flush_at_boundary(self) -> None:
        boundary = self._draft.boundary_to_flush()
        if boundary is not None:
            self._flush(boundary)

    def _flush(self, confirmed: int) -> int:
        """Send a flush for the caller and keep a place for its result."""
        seq = self._send_flush(confirmed)
        self._flushes.sent(seq)
        return seq

    def _send_flush(self, confirmed: int) -> int:
        text = self._draft.text
        if not 0 <= confirmed <= len(text):
            raise ValueError(f"cannot confirm {confirmed} of a draft of {len(text)} code points")
        self._draft.confirmed_code_points = confirmed
        return self._send(
            flush=pb.Flush(
                draft_code_points=len(text), draft_crc32=self._draft.checksum(), confirmed_code_points=confirmed
            )
        )

    def _send_whole_draft(self) -> None:
        self._send(char_delete=pb.CharDelete(count=EVERYTHING))
        if self._draft.text:
            self._send(char_add=pb.CharAdd(text=self._draft.text))

    def _begin_turn(self, submit_seq: int) -> None:
        """Forget the turn that a SUBMIT closes, but for flushes that are still to be answered."""
        self._draft = Draft()
        self._flushes.begin_turn()
        self._mended_through = submit_seq
        self._repair_flush = None
        self._repairs_in_a_row = 0

    # Hearing.

    async def _read(self, stream: Stream) -> None:
        """Take in what the server says until the stream ends, and keep why it did."""
        try:
            async for response in stream.responses():
                self._hear(response)
        except Exception as error:  # an on_flush callback may raise anything
            failure = ForefillError(f"the session's reader failed, and with it the session: {error!r}")
            failure.__cause__ = error
            self._fail(failure)
        finally:
            stream.cancel()
            self._fail(self._why(stream.ending))

    def _why(self, ending: ForefillError) -> ForefillError:
        """Return why the stream ended, as its caller sees it."""
        if self._opened is None and type(ending) is Unavailable:
            return NotReachable(f"no server could be reached: {ending}")
        return ending

    def _hear(self, response: pb.ComposeResponse) -> None:
        kind = response.WhichOneof("response")
        if kind == "opened":
            self._opened = opened_from_wire(response.opened)
        elif kind == "flush_result":
            self._hear_flush_result(response.flush_result)
        elif kind == "session_error":
            self._hear_error(from_session_error(response.session_error))
        elif self._answer is not None:
            self._hear_answer(self._answer, response)
        self._wake()

    def _hear_answer(self, answer: Answer, response: pb.ComposeResponse) -> None:
        if response.HasField("generation_started"):
            answer._on_started(response.generation_started, self._clock())
        elif response.HasField("generation_delta"):
            answer._on_delta(response.generation_delta)
        elif response.HasField("generation_finished"):
            answer._on_finished(response.generation_finished, self._clock())

    def _hear_flush_result(self, result: pb.FlushResult) -> None:
        if result.seq == self._repair_flush:
            self._repairs_in_a_row = 0
        for own in self._flushes.answered(result):
            if self._on_flush is not None:
                self._on_flush(own)

    def _hear_error(self, error: ForefillError) -> None:
        seq = error.seq or 0
        if self._answer is not None and seq == self._answer.seq:
            if error.reason != "SEQUENCE_GAP":  # after which the event was carried out
                self._submit_failed(self._answer, error)
        elif error.reason in REASONS and REASONS[error.reason].repairable:
            self._repair(error)
        elif self._flushes.awaited(seq):
            for flush in self._flushes.taken(seq):
                flush.error = error
        else:
            self._unraised = error

    def _submit_failed(self, answer: Answer, error: ForefillError) -> None:
        answer._on_error(error)
        if not self._draft.text and not self._ending:
            self._draft = Draft(answer.submitted_text)
            self._send_whole_draft()

    def _repair(self, error: ForefillError) -> None:
        """Send the whole draft again and repeat the flushes that failed, unless that was done since."""
        seq = error.seq or 0
        failed = [] if error.reason == "SEQUENCE_GAP" else self._flushes.taken(seq)
        if seq <= self._mended_through:
            self._join_repair(failed)
        elif self._repairs_in_a_row >= MAX_REPAIRS_IN_A_ROW or self._ending:
            for flush in failed:
                flush.error = error
        else:
            self._repairs += 1
            self._repairs_in_a_row += 1
            self._send_whole_draft()
            self._mended_through = self._seq
            self._repair_flush = self._send_flush(self._draft.boundary_to_confirm())
            self._flushes.sent_again(self._repair_flush, failed)

    def _join_repair(self, failed: list[Flush]) -> None:
        """Let flushes that failed wait for the repair that is on its way; after a submit they are needless."""
        if self._repair_flush is not None and self._flushes.awaited(self._repair_flush):
            self._flushes.sent_again(self._repair_flush, failed)
        else:
            for flush in failed:
                superseded(flush)

    # Waiting and ending.

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; raise why the stream ended if that comes first."""
        while not condition():
            if self._failure is not None:
                raise self._failure
            await self._changed.wait()

    def _wake(self) -> None:
        """Let everyone who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _fail(self, failure: ForefillError) -> None:
        if self._failure is None:
            self._failure = failure
        self._wake()

    def _check_usable(self) -> None:
        """Raise what has ended the session, or what the server had against an earlier event."""
        if self._reader is None:
            raise RuntimeError("the session is not open yet: enter it with `async with` first")
        if self._failure is not None:
            raise self._failure
        if self._ending:
            raise SessionEnded("the session has ended: open a new one", reason="SESSION_ENDED")
        if self._unraised is not None:
            error, self._unraised = self._unraised, None
            raise error

    def _check_length(self, code_points: int) -> None:
        limit = self.opened.limits.max_draft_code_points
        if limit and code_points > limit:
            raise DraftTooLong(
                f"a draft of {code_points} code points is longer than the {limit} that the server accepts: shorten it",
                session_continues=True,
                reason="DRAFT_TOO_LONG",
            )

    def _abandon(self) -> None:
        """Cancel the stream because an answer is not read to its end: the server stops the generation."""
        self._fail(Aborted("the answer was abandoned, and its session with it: open a new one"))
        if self._stream is not None:
            self._stream.cancel()

    async def _stop(self, failure: ForefillError) -> None:
        """Cancel what is left and wait for the reader."""
        self._fail(failure)
        if self._stream is not None:
            self._stream.cancel()
        if self._reader is not None:
            await asyncio.wait({self._reader})
