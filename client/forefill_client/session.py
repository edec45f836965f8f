"""One session: edits of its draft, flushes, and answers."""

import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Final, Self, cast

from forefill.v1 import keystroke_pb2 as pb

from .answer import Answer
from .composition import Composition
from .draft import smallest_replace
from .errors import Aborted, ForefillError, GenerationRunning, InvalidRequest, SessionEnded, from_session_error
from .exchange import Exchange
from .options import ChatMessage, MessageLike, checked_text, message_to_wire
from .report import FlushResult, Opened, opened_from_wire
from .stream import Compose

END_TIMEOUT_SECONDS: Final = 5.0
"""How long a server may take to close the stream after END."""


class Session:
    """A user's text box at the server: edit the draft, submit it, read the answer, and continue with the next turn.

    An async context manager, made by `AsyncClient.session`. Leaving it normally ends the session in good order; leaving
    it with an exception, or with an unread answer, cancels it. Any call may raise the error that ended the session.
    """

    def __init__(
        self,
        compose: Compose,
        opening: pb.Open,
        *,
        ready: Callable[[], Awaitable[None]],
        auto_flush: bool,
        on_flush: Callable[[FlushResult], None] | None,
        on_close: Callable[[ForefillError], None] | None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._on_flush = on_flush
        self._composition = Composition(opening.draft, auto_flush=auto_flush)
        self._ready = ready
        self._exchange = Exchange(compose, opening, self._hear, on_close, clock)
        self._opened: Opened | None = None
        self._answer: Answer | None = None
        self._messages = tuple(ChatMessage(message.role, message.content) for message in opening.messages)
        self._cancels: set[int] = set()
        # The error about an event that is neither a flush nor a submit: the next call raises it.
        self._unraised: ForefillError | None = None

    # State.

    @property
    def draft(self) -> str:
        """The text in the user's box."""
        return self._composition.draft.text

    @property
    def opened(self) -> Opened:
        """The server's model, limits and block size, as it reported them when the session opened."""
        if self._opened is None:
            raise RuntimeError("the session is not open yet: enter it with `async with` first")
        return self._opened

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """The conversation before the draft: the messages of the opening, then question and answer of each turn.

        A running answer and its question are not part of it yet.
        """
        return self._messages

    @property
    def flush_results(self) -> tuple[FlushResult, ...]:
        """The results of this turn's flushes so far, in the order in which they were sent."""
        return self._composition.flushes.results()

    @property
    def repairs(self) -> int:
        """How often the draft was sent again because the server's differed."""
        return self._composition.repairs

    @property
    def closed(self) -> bool:
        """Whether the session has ended, in whatever way: nothing can be sent any more."""
        return self._exchange.failure is not None

    def __repr__(self) -> str:
        if self.closed or self._opened is None:
            return "<Session, closed>" if self.closed else "<Session, not open yet>"
        typed, said = len(self.draft), len(self._messages)
        return f"<Session {self._opened.session_id}: {typed} code points after {said} messages>"

    # Calls.

    async def type(self, text: str, *, composing: bool = False) -> None:
        """Append to the draft: one character, or a longer text from an input method or a paste.

        With `composing`, the text is under composition by an input method: the server has it in its draft, but no flush
        covers it, unless one names a length. The next edit without `composing` ends the composition.
        """
        self._check_usable()
        await self._exchange.send(*self._composition.type(text, composing=composing))

    async def delete(self, count: int = 1) -> None:
        """Remove `count` code points from the draft's end, or all of them if it has fewer."""
        self._check_usable()
        await self._exchange.send(*self._composition.delete(count))

    async def replace(self, start: int, end: int, text: str) -> None:
        """Put `text` in place of the code points from `start` to before `end`."""
        self._check_usable()
        await self._exchange.send(*self._composition.replace(start, end, text))

    async def set_draft(self, text: str, *, composing: bool = False) -> None:
        """Replace the draft by `text`, sending only the difference: for a text box that reports its whole content.

        With `composing`, the difference is under composition, as in `type`. For a browser: pass `composing=True` after
        `compositionupdate` and `composing=False` after `compositionend`, even if the text is the same.
        """
        checked_text(text)
        self._check_usable()
        replacement = smallest_replace(self.draft, text)
        await self._exchange.send(*self._composition.replace(*replacement, composing=composing))

    async def flush(self, confirmed: int | None = None) -> int:
        """Have the server warm the first `confirmed` code points; default: all but what may still change.

        The server finds that out: it leaves the last few code points of an unbroken run, and kana and pinyin that may
        be under composition. If the session was told what is under composition, all before that is confirmed. Returns
        the number of the flush, for `flushed`. A session also flushes by itself unless it was made with
        `auto_flush=False`; see AsyncClient.session.
        """
        self._check_usable()
        event = self._composition.flush(confirmed)
        await self._exchange.send(event)
        return event.seq

    async def flushed(self, seq: int) -> FlushResult:
        """Wait for the result of one flush of this turn, or raise its error."""
        flush = self._composition.flushes.get(seq)
        if flush is None:
            raise InvalidRequest(
                f"{seq} is no flush of this turn: pass a number that flush() returned", session_continues=True
            )
        await self._exchange.until(lambda: flush.answered)
        if flush.error is not None:
            raise flush.error
        return cast("FlushResult", flush.result)

    async def hint(self, *, likely: bool = True) -> None:
        """Tell the server that `submit` of the draft is likely soon, so that it may begin the answer earlier.

        Call it when you see a sign of that: the pointer is on the send button, the button has the focus, or a key of
        the send shortcut is down. It holds until the draft changes; call it with `likely=False` when the sign is gone.
        A hint that repeats the last one sends nothing, and neither does one to a server that does not know hints.
        """
        self._check_usable()
        if self.opened.accepts_hints:
            await self._exchange.send(*self._composition.hint(likely=likely))

    async def submit(self, text: str | None = None) -> Answer:
        """Ask for the answer to `text`; default: the draft. The draft is then empty, for the next turn.

        If the server refuses, reading the answer raises the error. If the error has `session_continues`, the session
        can still be used, and the text is back in the draft unless something else has been typed since.
        """
        await self._settled()
        return await self._submitted([self._composition.submit(text)])

    async def rewrite(self, keep_messages: int, messages: Iterable[MessageLike] = ()) -> None:
        """Replace the conversation's end: keep its first `keep_messages` messages, and let these follow.

        For an earlier message that was edited, or a turn that is taken back. The draft stays as it is. What the old and
        the new conversation begin with stays cached at the server.
        """
        await self._settled()
        there = len(self._messages)
        if not 0 <= keep_messages <= there:
            raise InvalidRequest(
                f"cannot keep {keep_messages} of {there} messages: give 0 to {there}", session_continues=True
            )
        added = [message_to_wire(message) for message in messages]
        self._messages = self._messages[:keep_messages] + tuple(ChatMessage(m.role, m.content) for m in added)
        await self._exchange.send(self._composition.rewrite(keep_messages, added))

    async def regenerate(self) -> Answer:
        """Ask once more for the answer to the last question: its first answer leaves the conversation.

        The draft stays as it is.
        """
        await self._settled()
        if [message.role for message in self._messages[-2:]] != ["user", "assistant"]:
            raise InvalidRequest("the conversation does not end with a question and its answer", session_continues=True)
        text = self._messages[-2].content
        await self.rewrite(len(self._messages) - 2)
        return await self._submitted(self._composition.submit_beside(text))

    async def wait_closed(self) -> ForefillError:
        """Wait until the session has ended, and return why: SessionEnded if in good order, else what went wrong."""
        await self._exchange.until_closed()
        return cast("ForefillError", self._exchange.failure)

    async def end(self) -> None:
        """Close the session in good order, after a running answer; nothing can be sent afterwards."""
        if not self._exchange.started or self._composition.ended:
            return
        if self._exchange.failure is None:
            self._exchange.put([self._composition.end()])
            self._exchange.close_outbox()
            await self._exchange.until(lambda: not self._unread)
            await self._exchange.wait_closed(END_TIMEOUT_SECONDS)
        await self._exchange.stop(SessionEnded("the session has ended: open a new one"))

    async def __aenter__(self) -> Self:
        if self._exchange.started:
            raise RuntimeError("a session can be entered only once: make a new one with AsyncClient.session")
        await self._ready()
        self._exchange.start()
        try:
            await self._exchange.until(lambda: self._opened is not None)
            self._exchange.put(self._composition.open(self.opened.limits.max_draft_code_points))
        except BaseException:
            await self._exchange.stop(Aborted("the session was not opened"))
            raise
        return self

    async def __aexit__(self, exc_type: object, exc: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            if exc is None and (not self._unread or self._cancelling):
                await self.end()
        finally:
            await self._exchange.stop(Aborted("the session was left, which cancelled its stream: open a new one"))

    # The server's responses.

    def _hear(self, response: pb.ComposeResponse) -> None:
        match response.WhichOneof("response"):
            case "opened":
                self._opened = opened_from_wire(response.opened)
            case "flush_result":
                for result in self._composition.flush_answered(response.flush_result):
                    if self._on_flush is not None:
                        self._on_flush(result)
            case "session_error":
                self._hear_error(from_session_error(response.session_error))
            case _ if self._answer is not None:
                self._answer._hear(response, self._clock())
                if self._answer.stays and response.HasField("generation_finished"):
                    question = ChatMessage("user", self._answer.submitted_text)
                    self._messages += (question, ChatMessage("assistant", self._answer.text_so_far))

    def _hear_error(self, error: ForefillError) -> None:
        if error.reason == "NOTHING_TO_CANCEL" and error.seq in self._cancels:  # the answer had just ended
            return
        if self._answer is not None and error.seq == self._answer.seq:
            if error.reason != "SEQUENCE_GAP":  # a submit after a gap is carried out
                self._answer._fail(error)
                self._exchange.put(self._composition.submit_refused(self._answer.submitted_text))
            return
        events = self._composition.refused(error)
        if events is None:
            self._unraised = error
        else:
            self._exchange.put(events)

    async def _submitted(self, events: list[pb.KeystrokeEvent]) -> Answer:
        submit, submitted_at = events[0], self._clock()
        answer = Answer(self._exchange.until, self._cancel_answer, submit.seq, submit.submit.text, submitted_at)
        self._answer = answer
        await self._exchange.send(*events)
        return answer

    def _cancel_answer(self, keep_text: bool) -> None:
        if self._exchange.failure is None and not self._composition.ended:
            event = self._composition.cancel(keep_text=keep_text)
            self._cancels.add(event.seq)
            self._exchange.put([event])

    async def _settled(self) -> None:
        """Wait for the end of an answer that is being cancelled; raise GenerationRunning if one runs that is not."""
        self._check_usable()
        if self._cancelling:
            await self._exchange.until(lambda: not self._unread)
            self._check_usable()
        if self._unread:
            raise GenerationRunning(
                "an answer is still running: iterate over it to the end first, or cancel it",
                session_continues=True,
                reason="GENERATION_RUNNING",
            )

    @property
    def _cancelling(self) -> bool:
        return self._unread and self._answer is not None and self._answer.cancelled

    @property
    def _unread(self) -> bool:
        return self._answer is not None and not self._answer.complete

    def _check_usable(self) -> None:
        """Raise the error that ended the session, or the server's error about an earlier event."""
        if not self._exchange.started:
            raise RuntimeError("the session is not open yet: enter it with `async with` first")
        if self._exchange.failure is not None:
            raise self._exchange.failure
        if self._composition.ended:
            raise SessionEnded("the session has ended: open a new one", reason="SESSION_ENDED")
        if self._unraised is not None:
            error, self._unraised = self._unraised, None
            raise error
