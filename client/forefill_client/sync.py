"""The client without await: for scripts, notebooks and threads. It shares all with the asynchronous one.

An event loop of the client's own runs in a thread of its own, so a loop that runs already, as in a notebook, is not in
the way. Each call waits for what the asynchronous one awaits, and raises the same. The methods have the same names,
parameters and meaning as those of `AsyncClient`, `Session` and `Answer`.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from .answer import Answer
from .answer_parts import AnswerPart
from .client import DEFAULT_RESUME, AsyncClient
from .connection import Metadata
from .errors import ForefillError, NotReachable
from .exchange import OnState, SessionState
from .hand_off import HandedOff, HandedOffRequest, UsageLike
from .logprobs import TokenLogprobs
from .messages import ChatMessage, MessageLike, ToolCall
from .options import CacheScope, PregenerationMode, Resume, Sampling, WarmMode
from .portal import Portal
from .positions import Change
from .report import FlushResult, Ledger, Opened, Report
from .session import Session

T = TypeVar("T")


class _Closed(NotReachable):
    """Raised when the client is closed, and with it its sessions."""


def _closed() -> _Closed:
    return _Closed("the client is closed: make a new one with Client.connect")


class Client:
    """A connection to one forefill server, as `AsyncClient`, without await."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._portal = Portal("forefill-client", _closed)

    @classmethod
    def connect(
        cls,
        target: str,
        *,
        connect_timeout_seconds: float = 10.0,
        resume: Resume | None = DEFAULT_RESUME,
        tls: bool | bytes = False,
        api_key: str | Callable[[], str] = "",
        metadata: Metadata = (),
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
        channel: grpc.aio.Channel | None = None,
    ) -> Self:
        """Connect to `target`: `with` the result, or close() it later. See `AsyncClient.connect`.

        A `channel` of your own must belong to no event loop yet.
        """
        return cls(
            AsyncClient.connect(
                target,
                connect_timeout_seconds=connect_timeout_seconds,
                resume=resume,
                tls=tls,
                api_key=api_key,
                metadata=metadata,
                interceptors=interceptors,
                credentials=credentials,
                options=options,
                channel=channel,
            )
        )

    def session(
        self,
        messages: Iterable[MessageLike] = (),
        *,
        sampling: Sampling | None = None,
        draft: str = "",
        warm_mode: WarmMode = WarmMode.AUTO,
        cache_scope: CacheScope = CacheScope.DEFAULT,
        cache_secret: bytes = b"",
        session_key: str = "",
        resume_token: str = "",
        tools: Iterable[Mapping[str, Any]] | None = None,
        documents: Iterable[Mapping[str, str]] | None = None,
        reasoning_effort: str | None = None,
        continue_final_message: bool = False,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        pregeneration: PregenerationMode = PregenerationMode.AUTO,
        adapter: str = "",
        metadata: Metadata = (),
        auto_flush: bool = True,
        on_flush: Callable[[FlushResult], None] | None = None,
        on_state: OnState | None = None,
    ) -> "SyncSession":
        """Make a session; `with` opens it. See `AsyncClient.session`.

        Callbacks are called in the client's own thread, from which no call of the client or its sessions may be made.
        """
        session = self._client.session(
            messages,
            sampling=sampling,
            draft=draft,
            warm_mode=warm_mode,
            cache_scope=cache_scope,
            cache_secret=cache_secret,
            session_key=session_key,
            resume_token=resume_token,
            tools=tools,
            documents=documents,
            reasoning_effort=reasoning_effort,
            continue_final_message=continue_final_message,
            chat_template_kwargs=chat_template_kwargs,
            pregeneration=pregeneration,
            adapter=adapter,
            metadata=metadata,
            auto_flush=auto_flush,
            on_flush=on_flush,
            on_state=on_state,
        )
        return SyncSession(self._portal, session)

    def close(self) -> None:
        """Close the connection and cancel sessions that are still open; a second call does nothing."""
        with contextlib.suppress(_Closed):
            self._portal.run(self._client.close())
        self._portal.stop()

    def __repr__(self) -> str:
        return repr(self._client).replace("AsyncClient", "Client")

    def __enter__(self) -> Self:
        try:
            self._portal.run(self._client.__aenter__())
        except BaseException:
            self._portal.stop()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


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

    def submit(self, text: str | None = None) -> "SyncAnswer":
        """Ask for the answer to `text`; default: the draft. See `Session.submit`."""
        return SyncAnswer(self._portal, self._portal.run(self._session.submit(text)))

    def rewrite(self, keep_messages: int, messages: Iterable[MessageLike] = ()) -> None:
        """Replace the conversation's end. See `Session.rewrite`."""
        self._portal.run(self._session.rewrite(keep_messages, messages))

    def respond(self, messages: Iterable[MessageLike] = ()) -> "SyncAnswer":
        """Ask for the answer to the conversation as it is after these messages. See `Session.respond`."""
        return SyncAnswer(self._portal, self._portal.run(self._session.respond(messages)))

    def regenerate(self) -> "SyncAnswer":
        """Ask once more for the last answer. See `Session.regenerate`."""
        return SyncAnswer(self._portal, self._portal.run(self._session.regenerate()))

    def hand_off(self, text: str | None = None) -> "SyncHandedOff":
        """Ask the engine for the answer to `text` yourself; default: the draft. See `Session.hand_off`."""
        handed = self._portal.run(self._session.hand_off(text))
        told = {field.name: getattr(handed, field.name) for field in fields(HandedOffRequest)}
        return SyncHandedOff(**told, _portal=self._portal, _handed=handed)

    def wait_closed(self) -> ForefillError:
        """Wait until the session has ended, and return why. See `Session.wait_closed`."""
        try:
            return self._portal.run(self._session.wait_closed())
        except _Closed as closed:
            return closed

    def end(self) -> None:
        """Close the session in good order, after a running answer; nothing can be sent afterwards."""
        with contextlib.suppress(_Closed):
            self._portal.run(self._session.end())

    def __enter__(self) -> Self:
        self._portal.run(self._session.__aenter__())
        return self

    def __exit__(self, exc_type: object, exc: BaseException | None, traceback: TracebackType | None) -> None:
        with contextlib.suppress(_Closed):
            self._portal.run(self._session.__aexit__(exc_type, exc, traceback))


class SyncAnswer:
    """The answer to one submit, as `Answer`, without await: iterate over it for its text deltas, then read `report`."""

    def __init__(self, portal: Portal, answer: Answer) -> None:
        self._portal = portal
        self._answer = answer

    def __repr__(self) -> str:
        return repr(self._answer).replace("<Answer", "<SyncAnswer")

    @property
    def seq(self) -> int:
        """Number of the event that asked for it."""
        return self._answer.seq

    @property
    def submitted_text(self) -> str:
        """The text that was submitted. See `Answer.submitted_text`."""
        return self._answer.submitted_text

    @property
    def resumed(self) -> int:
        """How often it went on on another stream."""
        return self._answer.resumed

    @property
    def complete(self) -> bool:
        """Whether the answer has ended or failed: no more text follows."""
        return self._answer.complete

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled, or is being cancelled. See `Answer.cancelled`."""
        return self._answer.cancelled

    @property
    def stays(self) -> bool:
        """Whether it is part of the conversation. See `Answer.stays`."""
        return self._answer.stays

    @property
    def report(self) -> Report:
        """What the answer cost; available after the iteration has ended."""
        return self._answer.report

    @property
    def text_so_far(self) -> str:
        """All of its text that has come, read or not."""
        return self._answer.text_so_far

    @property
    def logprobs(self) -> tuple[TokenLogprobs, ...]:
        """All of its tokens that have come, with their probabilities. See `Answer.logprobs`."""
        return self._answer.logprobs

    def __iter__(self) -> Iterator[str]:
        return self._iterated(lambda: aiter(self._answer))

    def parts(self) -> Iterator[AnswerPart]:
        """Iterate over all of it, in place of its text alone. See `Answer.parts`."""
        return self._iterated(self._answer.parts)

    @property
    def reasoning(self) -> str:
        """What the model thought, as far as it has come. See `Answer.reasoning`."""
        return self._answer.reasoning

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls of tools, as far as they have come. See `Answer.tool_calls`."""
        return self._answer.tool_calls

    def _iterated(self, begin: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        items = begin()  # here, so that an iteration that never starts is none

        async def step() -> T | None:
            return await anext(items, None)

        try:
            while (item := self._portal.run(step())) is not None:
                yield item
        finally:
            with contextlib.suppress(_Closed):
                self._portal.call(lambda: self._answer._cancel(keep_text=True))

    def cancel(self, *, keep_text: bool = True) -> None:
        """Stop the answer, and wait until the server has stopped. See `Answer.cancel`."""
        self._portal.run(self._answer.cancel(keep_text=keep_text))

    def text(self) -> str:
        """Wait for the end of the answer and return its remaining text."""
        return self._portal.run(self._answer.text())


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
