"""Does again what a trace holds, at its times: on a session, or on the queue of a consumer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from ..draft import smallest_replace
from .events import EventType, KeystrokeEvent, StreamingSession
from .strokes import Stroke, StrokeKind, Trace

T = TypeVar("T")
AnswerT = TypeVar("AnswerT")
AnswerT_co = TypeVar("AnswerT_co", covariant=True)
OnStroke = Callable[[Stroke], Awaitable[None]]


class EditedSession(Protocol):
    """The part of a session that edits its draft; positions count code points."""

    async def type(self, text: str, /) -> object: ...

    async def delete(self, count: int = 1, /) -> object: ...

    async def replace(self, start: int, end: int, text: str, /) -> object: ...


class TypedSession(EditedSession, Protocol[AnswerT_co]):
    """The part of a session with the service that `replay` needs."""

    async def flush(self, *, confirmed: int | None = None) -> int: ...

    async def submit(self, text: str | None = None, /) -> AnswerT_co: ...


async def at_instants(
    planned: Iterable[tuple[float, T]], until: Callable[[float], Awaitable[None]]
) -> AsyncIterator[tuple[float, T]]:
    """Yield each (instant, item) when `until` says that its instant has come, however long the ones before it took."""
    for instant, item in planned:
        await until(instant)
        yield instant, item


async def paced(trace: Trace, speed: float = 1.0) -> AsyncIterator[Stroke]:
    """Yield each stroke at its time since now, `speed` times as fast as recorded; infinity waits for nothing.

    A stroke comes later only if those before it took longer. Raises ValueError if `speed` is not above 0.
    """
    if not speed > 0:
        raise ValueError(f"speed is {speed}: give a number above 0")
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def until(instant: float) -> None:
        await asyncio.sleep(max(0.0, began + instant - loop.time()))

    async for _, stroke in at_instants(((stroke.at_ms / 1000 / speed, stroke) for stroke in trace), until):
        yield stroke


async def replay(
    trace: Trace,
    session: TypedSession[AnswerT],
    *,
    speed: float = 1.0,
    flush: bool = True,
    on_stroke: OnStroke | None = None,
) -> AnswerT | None:
    """Do every stroke of a trace on a session at its time, and return the answer that it asks for; None without SUBMIT.

    Args:
        trace: The strokes.
        session: An open session of the SDK whose draft is empty, or anything else with the methods of TypedSession.
        speed: How many times as fast as recorded.
        flush: Whether FLUSH is done, for a session made with `auto_flush=False`; one that flushes by itself needs none.
        on_stroke: Awaited after each stroke.

    Raises:
        ForefillError: The session failed.
        ValueError: `speed` is not above 0.
    """
    answer = None
    async for stroke in paced(trace, speed):
        if stroke.kind is StrokeKind.SUBMIT:
            answer = await session.submit(stroke.draft)
        elif stroke.kind is not StrokeKind.FLUSH:
            await edit(stroke, session)
        elif flush:
            await session.flush(confirmed=stroke.confirmed)
        if on_stroke:
            await on_stroke(stroke)
    return answer


async def edit(stroke: Stroke, session: EditedSession) -> None:
    """Do on a session what a stroke did to the draft; FLUSH and SUBMIT did nothing."""
    match stroke.kind:
        case StrokeKind.TYPE:
            await session.type(stroke.text)
        case StrokeKind.DELETE:
            await session.delete()
        case StrokeKind.REPLACE:
            await session.replace(stroke.start, stroke.end, stroke.text)
        case StrokeKind.FLUSH | StrokeKind.SUBMIT:
            pass


async def replay_to_queue(trace: Trace, queue: asyncio.Queue[KeystrokeEvent], *, speed: float = 1.0) -> None:
    """Put every stroke of a trace on a queue at its time, as KeystrokeSimulator does with a text, and END after them.

    The events know only the draft's end: a replacement becomes deletions up to it, and what was there is typed again.
    """
    session = StreamingSession(start_time_ms=0.0)
    at_ms = 0.0
    async for stroke in paced(trace, speed):
        at_ms = stroke.at_ms
        for event in _events(session, stroke):
            await queue.put(event)
    await queue.put(_event(session, EventType.END, at_ms))


def _events(session: StreamingSession, stroke: Stroke) -> Iterator[KeystrokeEvent]:
    match stroke.kind:
        case StrokeKind.FLUSH:
            session.confirmed_len = stroke.confirmed
            yield _event(session, EventType.FLUSH, stroke.at_ms)
        case StrokeKind.SUBMIT:
            session.confirmed_len = len(session.current_text)
            yield _event(session, EventType.SUBMIT, stroke.at_ms)
        case _:
            yield from _edits(session, stroke)


def _edits(session: StreamingSession, stroke: Stroke) -> Iterator[KeystrokeEvent]:
    kept, _, _ = smallest_replace(session.current_text, stroke.draft)
    while len(session.current_text) > kept:
        session.current_text = session.current_text[:-1]
        session.confirmed_len = min(session.confirmed_len, len(session.current_text))
        yield _event(session, EventType.CHAR_DELETE, stroke.at_ms)
    if len(stroke.draft) > kept:
        session.current_text = stroke.draft
        yield _event(session, EventType.CHAR_ADD, stroke.at_ms, stroke.draft[kept:])


def _event(session: StreamingSession, event_type: EventType, at_ms: float, char: str | None = None) -> KeystrokeEvent:
    session.total_events += 1
    return KeystrokeEvent(event_type, char, at_ms, session.current_text, session.confirmed_text)
