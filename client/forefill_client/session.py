"""One session: edits of its draft, flushes, and answers."""

import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Final, Self, cast

from forefill.v1 import keystroke_pb2 as pb

from .answer import Answer
from .asking import Asking
from .conversation import Conversation
from .draft import smallest_replace
from .errors import Aborted, ForefillError, InvalidRequest, SessionEnded
from .exchange import Exchange
from .hand_off import HandedOff
from .messages import ChatMessage, MessageLike
from .options import Resume
from .positions import Change, changed
from .report import FlushResult, Opened, PregenerationUpdate
from .session_state import OnState, SessionState
from .stream import Compose
from .texts import checked_text
from .tool_choice import ToolChoice

END_TIMEOUT_SECONDS: Final = 5.0
"""How long a server may take to close the stream after END."""


class Session:
    """A user's text box at the server: edit the draft, submit it, read the answer, and continue with the next turn.

    An async context manager, made by `AsyncClient.session`. Leaving it normally ends the session in good order; leaving
    it with an exception, or with an unread answer, cancels it. If its stream breaks, it goes on on another one with its
    draft and its conversation (`Resume`). Any call may raise the error that ended the session.
    """

    def __init__(
        self,
        compose: Compose,
        opening: pb.Open,
        *,
        ready: Callable[[], Awaitable[None]],
        resume: Resume | None,
        auto_flush: bool,
        on_flush: Callable[[FlushResult], None] | None,
        on_pregeneration: Callable[[PregenerationUpdate], None] | None = None,
        on_state: OnState | None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._ready = ready
        self._conversation = Conversation(
            opening, auto_flush=auto_flush, on_flush=on_flush, on_pregeneration=on_pregeneration, clock=clock
        )
        self._composition = self._conversation.composition
        self._exchange = Exchange(self._conversation, compose, ready, resume, on_state, clock)
        self._asking = Asking(self._conversation, self._exchange)

    def __repr__(self) -> str:
        if not self._exchange.started:
            return "<Session, not open yet>"
        name = self.opened.session_id if self._conversation.opened else "?"
        typed, said = len(self.draft), len(self.messages)
        return f"<Session {name}, {self.state.value}: {typed} code points after {said} messages>"

    # State.

    @property
    def draft(self) -> str:
        """The text in the user's box."""
        return self._composition.draft.text

    @property
    def opened(self) -> Opened:
        """The server's model, limits and block size, as it reported them when the stream opened."""
        return self._asking.opened

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """The conversation before the draft: the messages of the opening, then question and answer of each turn.

        With `continue_final_message`, a turn is one message: what was submitted, and the answer that continues it.
        A running answer and its question are not part of it yet.
        """
        return self._conversation.history.messages

    @property
    def flush_results(self) -> tuple[FlushResult, ...]:
        """The results of this turn's flushes so far, in the order in which they were sent."""
        return self._composition.flushes.results()

    @property
    def repairs(self) -> int:
        """How often the draft was sent again because the server's differed."""
        return self._composition.repairs

    @property
    def state(self) -> SessionState:
        """Whether it is open, tries to go on on another stream, or is closed."""
        return self._exchange.state

    # Calls.

    async def type(self, text: str, *, composing: bool = False) -> None:
        """Append to the draft: one character, or a longer text from an input method or a paste.

        With `composing`, the text is under composition by an input method: the server has it in its draft, but no flush
        covers it, unless one names a length. The next edit without `composing` ends the composition.
        """
        self._asking.check_usable()
        await self._exchange.send(*self._composition.type(text, composing=composing))

    async def delete(self, count: int = 1) -> None:
        """Remove `count` code points from the draft's end, or all of them if it has fewer."""
        self._asking.check_usable()
        await self._exchange.send(*self._composition.delete(count))

    async def replace(self, start: int, end: int, text: str) -> None:
        """Put `text` in place of the code points from `start` to before `end`."""
        self._asking.check_usable()
        await self._exchange.send(*self._composition.replace(start, end, text))

    async def set_draft(self, text: str, *, composing: bool = False) -> None:
        """Replace the draft by `text`, sending only the difference: for a text box that reports its whole content.

        With `composing`, the difference is under composition, as in `type`. For a browser: pass `composing=True` after
        `compositionupdate` and `composing=False` after `compositionend`, even if the text is the same.
        """
        checked_text(text)
        self._asking.check_usable()
        replacement = smallest_replace(self.draft, text)
        await self._exchange.send(*self._composition.replace(*replacement, composing=composing))

    async def edit_utf16(self, changes: Iterable[Change], *, composing: bool = False) -> None:
        """Carry out an editor's changes, each (start, end, text), whose positions count UTF-16 code units.

        Each counts in the text that those before it have left, as in the Language Server Protocol and in Monaco. If all
        count in the old text, as CodeMirror's do, give the last one first. If one cannot be carried out, none is. With
        `composing`, what differs is under composition, as in `type`.
        """
        self._asking.check_usable()
        await self.set_draft(changed(self.draft, changes), composing=composing)

    async def flush(self, confirmed: int | None = None) -> int:
        """Have the server warm the first `confirmed` code points; default: all but what may still change.

        The server finds that out: it leaves the last few code points of an unbroken run, and kana and pinyin that may
        be under composition. If the session was told what is under composition, all before that is confirmed. Returns
        the number of the flush, for `flushed`. A session also flushes by itself unless it was made with
        `auto_flush=False`; see AsyncClient.session.
        """
        self._asking.check_usable()
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
        self._asking.check_usable()
        if self.opened.accepts_hints:
            await self._exchange.send(*self._composition.hint(likely=likely))

    async def submit(self, text: str | None = None, *, tool_choice: ToolChoice | None = None) -> Answer:
        """Ask for the answer to `text`; default: the draft. The draft is then empty, for the next turn.

        `tool_choice` holds for this answer; default: the session's own. Only an answer with that one is begun before.

        If the server refuses, reading the answer raises the error. If the error has `session_continues`, the session
        can still be used, and the text is back in the draft unless something else has been typed since.
        """
        return await self._asking.submit(text, tool_choice)

    async def rewrite(self, keep_messages: int, messages: Iterable[MessageLike] = ()) -> None:
        """Replace the conversation's end: keep its first `keep_messages` messages, and let these follow.

        For an earlier message that was edited, or a turn that is taken back. The draft stays as it is. What the old and
        the new conversation begin with stays cached at the server.
        """
        await self._asking.rewrite(keep_messages, messages)

    async def respond(self, messages: Iterable[MessageLike] = (), *, tool_choice: ToolChoice | None = None) -> Answer:
        """Ask for the answer to the conversation as it is after these messages, without the draft, which stays.

        After an answer with `tool_calls`, give the results: messages with the role "tool", each with the
        `tool_call_id` of its call. If the server refuses, they are in the conversation all the same: call `respond()`
        without them to ask again, or `rewrite` to take them back. `tool_choice` is as in `submit`: after the result of
        a call that was required, "auto" lets the model answer, or call another tool.
        """
        return await self._asking.respond(messages, tool_choice)

    async def regenerate(self, *, tool_choice: ToolChoice | None = None) -> Answer:
        """Ask once more for the last answer: the first one leaves the conversation.

        The draft stays as it is. `tool_choice` is as in `submit`, whatever the first one had.
        """
        return await self._asking.regenerate(tool_choice)

    async def hand_off(self, text: str | None = None, *, tool_choice: ToolChoice | None = None) -> HandedOff:
        """Ask the engine for the answer to `text` yourself; default: the draft. The draft is then empty.

        The server stops what it computes ahead, and the result is what your own chat-completions request must carry to
        find what was warmed. Say what came of it with its `finished`, or take it back with its `cancel`: until then the
        next draft may be typed, but not submitted. If the server refuses, for example because its operator has not
        said where the engine is (HandOffNotOffered), the text is back in the draft. `tool_choice` is that of your
        request; default: the session's own.
        """
        return await self._asking.hand_off(text, tool_choice)

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
            await self._exchange.until(lambda: not self._conversation.answering)
            if self.state is SessionState.OPEN:
                await self._exchange.wait_closed(END_TIMEOUT_SECONDS)
        await self._exchange.stop(SessionEnded("the session has ended: open a new one"))

    async def __aenter__(self) -> Self:
        if self._exchange.started:
            raise RuntimeError("a session can be entered only once: make a new one with AsyncClient.session")
        await self._ready()
        self._exchange.start()
        try:
            await self._exchange.until(lambda: self._conversation.opened is not None)
            self._exchange.put(self._composition.open(self.opened.limits.max_draft_code_points))
        except BaseException:
            await self._exchange.stop(Aborted("the session was not opened"))
            raise
        return self

    async def __aexit__(self, exc_type: object, exc: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            if exc is None and (not self._conversation.answering or self._conversation.cancelling):
                await self.end()
        finally:
            await self._exchange.stop(Aborted("the session was left, which cancelled its stream: open a new one"))
