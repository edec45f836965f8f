"""The traffic of one session: events go out, the server's responses come in, callers wait.

Events leave in the order in which they are put: a call changes the draft and puts its events without an await in
between. gRPC takes them from the outbox. One reader task, owned by the exchange, passes on each response and wakes the
callers that wait. All waiting is done in `until`, which ends when its condition holds or when the session ends.

If a stream breaks that had been opened, the session goes on on another one, as `Resume` says. The `Side` then says how
it opens: its draft and its conversation are the caller's, so what was on its way, and what is put meanwhile, needs not
be sent again. Each stream has an `Outbox` of its own.

A server that stops says so before (GoAway). The session then moves: as soon as a server takes a new connection and no
answer is running, it opens a stream there and ends the old one. If it cannot in time, the old stream breaks, as above.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, Protocol

from forefill.v1 import keystroke_pb2 as pb

from .errors import ForefillError, NotReachable, SessionEnded, SessionIdle, Unavailable
from .options import Resume
from .outage import Outage
from .outbox import Outbox
from .session_state import OnState, SessionState
from .stream import Compose, Stream

MAX_UNSENT_EVENTS: Final = 64
"""Calls wait while more events than this are unsent, so that a slow connection slows its caller."""
END_SECONDS: Final = 1.0
"""How long a stream that another has replaced may take to end."""
OPEN_SECONDS: Final = 10.0
"""How long a stream that follows on another may take to open; after one that did not, the next has twice as long."""


class Side(Protocol):
    """The session, as its exchange sees it."""

    def opening(self) -> pb.Open:
        """Return how a stream opens now."""
        ...

    def number(self) -> int:
        """Return the number of the last event."""
        ...

    def hear(self, response: pb.ComposeResponse) -> Iterable[pb.KeystrokeEvent]:
        """Take in a response, and return the events that follow on it."""
        ...

    @property
    def can_move(self) -> bool:
        """Whether another stream can go on with all that this one has."""
        ...


class Exchange:
    """One stream after the other, with the outbox, the reader and the callers that wait."""

    def __init__(
        self,
        side: Side,
        compose: Compose,
        ready: Callable[[], Awaitable[None]],
        resume: Resume | None,
        on_state: OnState | None,
        clock: Callable[[], float],
    ) -> None:
        #: Why the session ended; None while it goes on.
        self.failure: ForefillError | None = None
        self.state = SessionState.CLOSED
        self._side = side
        self._compose = compose
        self._ready = ready
        self._resume = resume
        self._on_state = on_state
        self._clock = clock
        self._began_at = clock()
        self._outbox = Outbox(0)
        self._closing = False
        self._heard_something = False
        self._was_open = False
        self._outage: Outage | None = None
        self._changed = asyncio.Event()
        self._stream: Stream | None = None
        self._left: Stream | None = None
        self._given_up = 0
        self._puts = 0
        self._opening: asyncio.TimerHandle | None = None
        self._reader: asyncio.Task[None] | None = None
        self._mover: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._reader is not None

    def start(self) -> None:
        """Open the first stream."""
        self._began_at = self._clock()
        stream = self._open_stream()
        self._reader = asyncio.create_task(self._run(stream), name="forefill-session-reader")

    def put(self, events: Iterable[pb.KeystrokeEvent]) -> None:
        """Queue events to be sent, each stamped with the time; while there is no stream, they are not needed."""
        self._puts += 1
        for event in events:
            if self._stream is not None:
                self._outbox.put(event, (self._clock() - self._began_at) * 1000)
        self._wake()

    async def send(self, *events: pb.KeystrokeEvent) -> None:
        """Queue events to be sent, then wait while too many are unsent."""
        self.put(events)
        await self.until(lambda: len(self._outbox) <= MAX_UNSENT_EVENTS)

    def close_outbox(self) -> None:
        """Close our side of the stream after everything queued is sent."""
        self._closing = True
        self._wake()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; if the session ends first, raise the reason."""
        while not condition():
            if self.failure is not None:
                raise self.failure
            await self._changed.wait()

    async def until_closed(self) -> None:
        """Wait until nothing can be sent any more."""
        while self.failure is None:
            await self._changed.wait()

    async def wait_closed(self, timeout_seconds: float | None = None) -> None:
        """Wait until the last stream has ended or the timeout has passed."""
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=timeout_seconds)

    async def stop(self, failure: ForefillError) -> None:
        """Cancel the stream if one is still open, with `failure` as the reason, and wait for the reader."""
        self._fail(failure)
        if self._left is not None:
            self._left.cancel()
        if self._stream is not None:
            self._stream.cancel()
        elif self._reader is not None:
            self._reader.cancel()
        await self.wait_closed()

    def _open_stream(self) -> Stream:
        opening = self._side.opening()
        self._outbox = Outbox(self._side.number())
        self._heard_something = False
        self._stream = stream = Stream(self._compose, self._requests(opening, self._outbox))
        if self._was_open:
            seconds = OPEN_SECONDS * 2**self._given_up
            self._opening = asyncio.get_running_loop().call_later(seconds, self._give_up, stream)
        return stream

    def _give_up(self, stream: Stream) -> None:
        self._given_up += 1
        stream.give_up()

    def _has_opened(self) -> None:
        self._was_open, self._outage, self._given_up = True, None, 0
        if self._opening is not None:
            self._opening.cancel()
        self._tell(SessionState.OPEN, None)
        self._wake()

    async def _requests(self, opening: pb.Open, outbox: Outbox) -> AsyncIterator[pb.ComposeRequest]:
        """Yield the requests of one stream; when they end, gRPC closes our side of it."""
        yield pb.ComposeRequest(open=opening)
        while True:
            while outbox:
                yield pb.ComposeRequest(event=outbox.take())
                self._wake()
            if self._all_said or outbox is not self._outbox:
                return
            await self.until(lambda: bool(outbox) or self._all_said or outbox is not self._outbox)

    @property
    def _all_said(self) -> bool:
        """Whether nothing more will be put; a stream that has just replaced another is still to be told something."""
        return self._closing and self._outage is None

    async def _run(self, stream: Stream) -> None:
        """Read one stream after the other, until the session ends."""
        try:
            while True:
                await self._read(stream)
                if self._stream not in (stream, None):  # it has moved
                    stream = self._stream
                    continue
                ending = self._failure_from(stream.ending)
                self._stream = None
                if self.failure is not None or not self._goes_on_after(ending):
                    self._fail(ending)
                    return
                stream = await self._next_stream(ending)
        except ForefillError as error:
            self._fail(error)
        except Exception as error:  # a caller's callback may raise anything
            failure = ForefillError(f"a response could not be handled, which ended the session: {error!r}")
            failure.__cause__ = error
            self._fail(failure)

    async def _read(self, stream: Stream) -> None:
        try:
            async for response in stream.responses():
                if stream is not self._stream:  # it has moved
                    continue
                self._heard_something = True
                self.put(self._side.hear(self._outbox.renumbered(response)))
                if response.HasField("opened"):
                    self._has_opened()
                elif response.HasField("go_away") and self._resume is not None and self._mover is None:
                    moving = self._move(stream, response.go_away.within_ms / 1000)
                    self._mover = asyncio.create_task(moving, name="forefill-session-mover")
        finally:
            stream.cancel()
            if self._opening is not None and stream is self._stream:
                self._opening.cancel()
            if self._mover is not None:
                self._mover.cancel()
                self._mover = None

    async def _move(self, stream: Stream, within_seconds: float) -> None:
        """Open another stream while the server of this one still serves it; not all clients at the same moment."""
        await asyncio.sleep(random.uniform(0, within_seconds / 2))  # noqa: S311 - no secret
        try:
            await self._ready()
            await self.until(lambda: self._side.can_move)
        except ForefillError:
            return  # this stream then ends as any stream does
        self._outbox.leave(self._side.number())
        self._left = stream
        self._open_stream()
        self._wake()
        asyncio.get_running_loop().call_later(END_SECONDS, stream.cancel)

    def _goes_on_after(self, ending: ForefillError) -> bool:
        if self._resume is None or not self._was_open:
            return False
        # With credentials that were renewed meanwhile another stream opens; with the same ones it does not.
        expired = ending.reason == "CREDENTIALS_EXPIRED" and self._heard_something
        return expired or isinstance(ending, Unavailable)

    async def _next_stream(self, ending: ForefillError) -> Stream:
        """Wait for a server, and open a stream there; raise the last failure if that takes too long.

        A session that the server ended because nobody used it waits until somebody does.
        """
        if isinstance(ending, SessionIdle):
            puts = self._puts
            self._tell(SessionState.RECONNECTING, ending)
            await self.until(lambda: self._closing or self._puts != puts)
        if self._outage is None:
            self._outage = Outage(self._resume or Resume(), asyncio.get_running_loop().time)
            self._tell(SessionState.RECONNECTING, ending)
        while True:
            delay_seconds = self._outage.next_delay_seconds(ending)
            if delay_seconds is None:
                raise ending
            await asyncio.sleep(delay_seconds)
            try:
                await self._ready()
            except NotReachable as error:
                ending = error
            else:
                return self._open_stream()

    def _failure_from(self, ending: ForefillError) -> ForefillError:
        if not self._heard_something and type(ending) is Unavailable:
            return NotReachable(f"no server could be reached: {ending}")
        if self._closing and type(ending) is SessionEnded:
            return SessionEnded("the session has ended: open a new one")
        return ending

    def _fail(self, failure: ForefillError) -> None:
        if self.failure is None:
            self.failure = failure
            self._tell(SessionState.CLOSED, failure)
        self._wake()

    def _tell(self, state: SessionState, reason: ForefillError | None) -> None:
        self.state = state
        if self._on_state is not None:
            asyncio.get_running_loop().call_soon(self._on_state, state, reason)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
