"""Consumers of the queue: a base class, a log, and one that drives a session with the service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, Protocol, TypeVar

from .events import EventType, KeystrokeEvent


class EventConsumer:
    """Take events from `queue` until END, and pass each to `handle_event`, which a subclass overrides."""

    def __init__(self, queue: asyncio.Queue[KeystrokeEvent]) -> None:
        self.queue = queue
        self._running = False
        self._waiting: asyncio.Task[KeystrokeEvent] | None = None

    async def handle_event(self, event: KeystrokeEvent) -> None:
        """Handle one event; the next one is taken after this returns."""
        raise NotImplementedError("override handle_event(event) in your consumer")

    async def run(self) -> None:
        """Handle events in order until END has been handled or `stop` is called.

        An exception from `handle_event` ends the run and is raised from here: at once if the queue is unbounded. If it
        is bounded, the events up to END are taken and dropped first, so that no producer is left waiting for room.
        `queue.join()` counts every event that was taken as done.
        """
        self._running = True
        event: KeystrokeEvent | None = None
        try:
            while event := await self._next_event():
                try:
                    await self.handle_event(event)
                finally:
                    self.queue.task_done()
                if event.event_type is EventType.END:
                    break
        except Exception:
            if self.queue.maxsize and event and event.event_type is not EventType.END:
                await self._drop_until_end()
            raise
        finally:
            self._running = False

    def stop(self) -> None:
        """End the run: after the current event, or at once if it is waiting for one. Queued events stay queued."""
        self._running = False
        if self._waiting:
            self._waiting.cancel()

    async def _next_event(self) -> KeystrokeEvent | None:
        if not self._running:
            return None
        waiting = self._waiting = asyncio.create_task(self.queue.get())
        try:
            await asyncio.wait({waiting})
        finally:
            waiting.cancel()
            self._waiting = None
        return None if waiting.cancelled() else waiting.result()

    async def _drop_until_end(self) -> None:
        while event := await self._next_event():
            self.queue.task_done()
            if event.event_type is EventType.END:
                return


class LoggingConsumer(EventConsumer):
    """Keep all events in `events` and, if `verbose`, print each, including the text that was typed."""

    def __init__(self, queue: asyncio.Queue[KeystrokeEvent], verbose: bool = True) -> None:
        super().__init__(queue)
        self.verbose = verbose
        self.events: list[KeystrokeEvent] = []

    async def handle_event(self, event: KeystrokeEvent) -> None:
        self.events.append(event)
        if self.verbose:
            print(_line(event))


def _line(event: KeystrokeEvent) -> str:
    what = event.event_type.name if event.char is None else f"{event.event_type.name} {event.char!r}"
    return f"{event.timestamp_ms:9.1f} ms  {what:<15} {event.current_text!r}, confirmed {len(event.confirmed_text)}"


ReportT = TypeVar("ReportT")
ReportT_co = TypeVar("ReportT_co", covariant=True)


class DraftAnswer(Protocol[ReportT_co]):
    """An answer on its way: iterate over it for its text, then read its report."""

    def __aiter__(self) -> AsyncIterator[str]: ...

    @property
    def report(self) -> ReportT_co: ...


class DraftSession(Protocol[ReportT_co]):
    """The part of a session with the service that InferenceConsumer needs; positions count code points."""

    async def type(self, text: str, /) -> object: ...

    async def delete(self, count: int = 1, /) -> object: ...

    async def flush(self, *, confirmed: int | None = None) -> int: ...

    async def submit(self, text: str | None = None, /) -> DraftAnswer[ReportT_co]: ...

    async def end(self) -> object: ...


class InferenceConsumer(EventConsumer, Generic[ReportT]):
    """Drive a session with the service: confirmed text is warmed, and SUBMIT is answered before the next event.

    Args:
        queue: The events.
        session: An open session of the SDK, made with `auto_flush=False` so that only the queue's FLUSH events flush,
            or anything else with the methods of DraftSession. END ends it.
        on_delta: Called with each piece of the answer's text.
        on_flush: Called with each FLUSH and the number that the service's result for it will have.
    """

    def __init__(
        self,
        queue: asyncio.Queue[KeystrokeEvent],
        session: DraftSession[ReportT],
        *,
        on_delta: Callable[[str], None] | None = None,
        on_flush: Callable[[KeystrokeEvent, int], None] | None = None,
    ) -> None:
        super().__init__(queue)
        self.session = session
        self.answer = ""
        """The text of the latest answer so far."""
        self.report: ReportT | None = None
        """The session's report on the latest answer; None until it is complete."""
        self._on_delta = on_delta
        self._on_flush = on_flush

    async def handle_event(self, event: KeystrokeEvent) -> None:
        match event.event_type:
            case EventType.CHAR_ADD:
                await self.session.type(event.char or "")
            case EventType.CHAR_DELETE:
                await self.session.delete()
            case EventType.FLUSH:
                await self._flush(event)
            case EventType.SUBMIT:
                await self._submit(event.current_text)
            case EventType.END:
                await self.session.end()

    async def _flush(self, event: KeystrokeEvent) -> None:
        seq = await self.session.flush(confirmed=len(event.confirmed_text))
        if self._on_flush:
            self._on_flush(event, seq)

    async def _submit(self, text: str) -> None:
        self.answer, self.report = "", None
        answer = await self.session.submit(text)
        async for delta in answer:
            self.answer += delta
            if self._on_delta:
                self._on_delta(delta)
        self.report = answer.report
