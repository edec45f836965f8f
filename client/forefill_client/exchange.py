"""The traffic of one session: events go out, the server's responses come in, callers wait.

Events leave in the order in which they are put: a call changes the draft and puts its events without an await in
between. gRPC takes them from the outbox. One reader task, owned by the exchange, passes on each response and wakes the
callers that wait. All waiting is done in `until`, which ends when its condition holds or when the stream ends.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from forefill.v1 import keystroke_pb2 as pb

from .errors import ForefillError, NotReachable, Unavailable
from .stream import Compose, Stream

MAX_UNSENT_EVENTS: Final = 64
"""Calls wait while more events than this are unsent, so that a slow connection slows its caller."""


class Exchange:
    """One stream with its outbox, its reader and the callers that wait."""

    def __init__(
        self,
        compose: Compose,
        opening: pb.Open,
        hear: Callable[[pb.ComposeResponse], None],
        on_close: Callable[[ForefillError], None] | None,
        clock: Callable[[], float],
    ) -> None:
        #: Why the stream ended; None while it runs.
        self.failure: ForefillError | None = None
        self._compose = compose
        self._opening = opening
        self._hear = hear
        self._on_close = on_close
        self._clock = clock
        self._began_at = clock()
        self._outbox: deque[pb.KeystrokeEvent] = deque()
        self._closing = False
        self._heard_something = False
        self._changed = asyncio.Event()
        self._stream: Stream | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._reader is not None

    def start(self) -> None:
        """Open the stream."""
        self._began_at = self._clock()
        self._stream = Stream(self._compose, self._requests())
        self._reader = asyncio.create_task(self._read(self._stream), name="forefill-session-reader")

    def put(self, events: Iterable[pb.KeystrokeEvent]) -> None:
        """Queue events to be sent, each stamped with the time."""
        for event in events:
            event.timestamp_ms = (self._clock() - self._began_at) * 1000
            self._outbox.append(event)
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
        """Wait until `condition` holds; if the stream ends first, raise the reason."""
        while not condition():
            if self.failure is not None:
                raise self.failure
            await self._changed.wait()

    async def wait_closed(self, timeout_seconds: float | None = None) -> None:
        """Wait until the stream has ended or the timeout has passed."""
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=timeout_seconds)

    async def stop(self, failure: ForefillError) -> None:
        """Cancel the stream if it is still open, with `failure` as the reason, and wait for the reader."""
        self._fail(failure)
        self._cancel()
        await self.wait_closed()

    async def _requests(self) -> AsyncIterator[pb.ComposeRequest]:
        """Yield the requests; when they end, gRPC closes our side of the stream."""
        yield pb.ComposeRequest(open=self._opening)
        while True:
            while self._outbox:
                yield pb.ComposeRequest(event=self._outbox.popleft())
                self._wake()
            if self._closing:
                return
            await self.until(lambda: bool(self._outbox) or self._closing)

    async def _read(self, stream: Stream) -> None:
        try:
            async for response in stream.responses():
                self._heard_something = True
                self._hear(response)
                self._wake()
        except Exception as error:  # a caller's callback may raise anything
            failure = ForefillError(f"a response could not be handled, which ended the session: {error!r}")
            failure.__cause__ = error
            self._fail(failure)
        finally:
            stream.cancel()
            self._fail(self._failure_from(stream.ending))

    def _failure_from(self, ending: ForefillError) -> ForefillError:
        if not self._heard_something and type(ending) is Unavailable:
            return NotReachable(f"no server could be reached: {ending}")
        return ending

    async def until_closed(self) -> None:
        """Wait until nothing can be sent any more."""
        while self.failure is None:
            await self._changed.wait()

    def _fail(self, failure: ForefillError) -> None:
        if self.failure is None:
            self.failure = failure
            if self._on_close is not None:
                asyncio.get_running_loop().call_soon(self._on_close, failure)
        self._wake()

    def _cancel(self) -> None:
        if self._stream is not None:
            self._stream.cancel()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
