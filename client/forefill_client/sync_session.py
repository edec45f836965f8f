"""A session without await, and its hand-offs."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import Self

from .client_portal import ClientClosed
from .errors import ForefillError
from .hand_off import HandedOff, HandedOffRequest, UsageLike
from .messages import ChatMessage, MessageLike
from .portal import Portal
from .positions import Change
from .report import FlushResult, Ledger, Opened
from .session import Session
from .session_state import SessionState
from .sync_answer import SyncAnswer
from .tool_choice import ToolChoice


class SyncSession:
    """A user's text box at the server, as `Session`, without await. Made by `Client.session`."""

    def __init__(self, portal: Portal, session: Session) -> None:
        self._portal = portal
        self._session = session

    def __repr__(self) -> str:
        return repr(self._session).replace("<Session", "<SyncSession")

    @property
    def draft(self) -> str:
        """The text in the user's box."""
        return self._session.draft

    @property
    def opened(self) -> Opened:
        """The server's model, limits and block size, as it reported them when the stream opened."""
        return self._session.opened

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """The conversation before the draft. See `Session.messages`."""
        return self._session.messages

    @property
    def flush_results(self) -> tuple[FlushResult, ...]:
        """The results of this turn's flushes so far, in the order in which they were sent."""
        return self._session.flush_results

    @property
    def repairs(self) -> int:
        """How often the draft was sent again because the server's differed."""
        return self._session.repairs

    @property
    def state(self) -> SessionState:
        """Whether it is open, tries to go on on another stream, or is closed."""
        return self._session.state

    def type(self, text: str, *, composing: bool = False) -> None:
        """Append to the draft. See `Session.type`."""
        self._portal.run(self._session.type(text, composing=composing))

    def delete(self, count: int = 1) -> None:
        """Remove `count` code points from the draft's end, or all of them if it has fewer."""
        self._portal.run(self._session.delete(count))

    def replace(self, start: int, end: int, text: str) -> None:
        """Put `text` in place of the code points from `start` to before `end`."""
        self._portal.run(self._session.replace(start, end, text))

    def set_draft(self, text: str, *, composing: bool = False) -> None:
        """Replace the draft by `text`, sending only the difference. See `Session.set_draft`."""
        self._portal.run(self._session.set_draft(text, composing=composing))

    def edit_utf16(self, changes: Iterable[Change], *, composing: bool = False) -> None:
        """Carry out an editor's changes, whose positions count UTF-16 code units. See `Session.edit_utf16`."""
        self._portal.run(self._session.edit_utf16(changes, composing=composing))

    def flush(self, confirmed: int | None = None) -> int:
        """Have the server warm the first `confirmed` code points. See `Session.flush`."""
        return self._portal.run(self._session.flush(confirmed))

    def flushed(self, seq: int) -> FlushResult:
        """Wait for the result of one flush of this turn, or raise its error."""
        return self._portal.run(self._session.flushed(seq))

    def hint(self, *, likely: bool = True) -> None:
        """Tell the server that `submit` of the draft is likely soon. See `Session.hint`."""
        self._portal.run(self._session.hint(likely=likely))

    def submit(self, text: str | None = None, *, tool_choice: ToolChoice | None = None) -> SyncAnswer:
        """Ask for the answer to `text`; default: the draft. See `Session.submit`."""
        return SyncAnswer(self._portal, self._portal.run(self._session.submit(text, tool_choice=tool_choice)))

    def rewrite(self, keep_messages: int, messages: Iterable[MessageLike] = ()) -> None:
        """Replace the conversation's end. See `Session.rewrite`."""
        self._portal.run(self._session.rewrite(keep_messages, messages))

    def respond(self, messages: Iterable[MessageLike] = (), *, tool_choice: ToolChoice | None = None) -> SyncAnswer:
        """Ask for the answer to the conversation as it is after these messages. See `Session.respond`."""
        return SyncAnswer(self._portal, self._portal.run(self._session.respond(messages, tool_choice=tool_choice)))

    def regenerate(self, *, tool_choice: ToolChoice | None = None) -> SyncAnswer:
        """Ask once more for the last answer. See `Session.regenerate`."""
        return SyncAnswer(self._portal, self._portal.run(self._session.regenerate(tool_choice=tool_choice)))

    def hand_off(self, text: str | None = None, *, tool_choice: ToolChoice | None = None) -> "SyncHandedOff":
        """Ask the engine for the answer to `text` yourself; default: the draft. See `Session.hand_off`."""
        handed = self._portal.run(self._session.hand_off(text, tool_choice=tool_choice))
        told = {field.name: getattr(handed, field.name) for field in fields(HandedOffRequest)}
        return SyncHandedOff(**told, _portal=self._portal, _handed=handed)

    def wait_closed(self) -> ForefillError:
        """Wait until the session has ended, and return why. See `Session.wait_closed`."""
        try:
            return self._portal.run(self._session.wait_closed())
        except ClientClosed as closed:
            return closed

    def end(self) -> None:
        """Close the session in good order, after a running answer; nothing can be sent afterwards."""
        with contextlib.suppress(ClientClosed):
            self._portal.run(self._session.end())

    def __enter__(self) -> Self:
        self._portal.run(self._session.__aenter__())
        return self

    def __exit__(self, exc_type: object, exc: BaseException | None, traceback: TracebackType | None) -> None:
        with contextlib.suppress(ClientClosed):
            self._portal.run(self._session.__aexit__(exc_type, exc, traceback))


@dataclass(frozen=True, slots=True)
class SyncHandedOff(HandedOffRequest):
    """What your own request must carry, as `HandedOff`, without await. Made by `SyncSession.hand_off`."""

    _portal: Portal = field(repr=False, compare=False)
    _handed: HandedOff = field(repr=False, compare=False)

    def finished(
        self,
        answer: str | None = None,
        *,
        messages: Iterable[MessageLike] = (),
        usage: UsageLike | None = None,
    ) -> Ledger | None:
        """End the hand-off: the conversation gets the answer, or these messages. See `HandedOff.finished`."""
        return self._portal.run(self._handed.finished(answer, messages=messages, usage=usage))

    def cancel(self) -> None:
        """End the hand-off without an answer. See `HandedOff.cancel`."""
        self._portal.run(self._handed.cancel())
