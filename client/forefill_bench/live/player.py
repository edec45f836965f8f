"""Plays a script in one session: every stroke at its instant, whatever the server does, then SUBMIT and its answer."""

import asyncio
import contextlib
from collections.abc import Sequence

from forefill_client.client import AsyncClient
from forefill_client.errors import ForefillError
from forefill_client.keystrokes import Stroke, StrokeKind, find_last_boundary
from forefill_client.keystrokes.playback import at_instants, edit
from forefill_client.options import CacheScope, Sampling
from forefill_client.session import Session

from ..report.results import NaiveWarms, Served, from_report
from ..typing.arms import Arm
from ..typing.script import Script
from .clock import Clock
from .plain import REQUEST_TIMEOUT_SECONDS, Message, PlainClient


def open_session(
    client: AsyncClient,
    arm: Arm,
    talk: Sequence[Message],
    max_tokens: int,
    cache_scope: CacheScope = CacheScope.SHARED,
    *,
    min_tokens: int | None = None,
) -> Session:
    """Make the session of an arm's user, greedy, after the conversation `talk`: `async with` it."""
    return client.session(
        talk,
        sampling=Sampling(temperature=0.0, max_tokens=max_tokens, min_tokens=min_tokens),
        warm_mode=arm.warm_mode,
        cache_scope=cache_scope,
        pregeneration=arm.pregeneration,
        auto_flush=False,
    )


async def play(
    session: Session,
    script: Script,
    begins_at: float,
    clock: Clock,
    flush: "Flush",
    *,
    timeout_seconds: float | None = REQUEST_TIMEOUT_SECONDS,
) -> Served:
    """Do every stroke of a script at its instant, take in the answer, and return what it cost.

    `begins_at` is the script's beginning, in seconds on the clock; `timeout_seconds` is the limit for the answer.
    Raises ForefillError and TimeoutError.
    """
    *strokes, enter = script
    try:
        planned = ((begins_at + stroke.at_ms / 1000, stroke) for stroke in strokes)
        async for _, stroke in at_instants(planned, clock.until):
            await (flush(stroke) if stroke.kind is StrokeKind.FLUSH else edit(stroke, session))
        due_at = begins_at + enter.at_ms / 1000
        await clock.until(due_at, spin=True)
        late_seconds = clock.now() - due_at
        async with asyncio.timeout(timeout_seconds):
            answer = await session.submit(enter.draft)
            pieces = [(clock.now(), piece) async for piece in answer]
        await flush.settled()
    finally:
        flush.cancel()
    text, pieces_at = "".join(piece for _, piece in pieces), [at for at, _ in pieces]
    return from_report(text, answer.report, late_seconds=late_seconds, naive=flush.warms, pieces_at=pieces_at)


class Flush:
    """Does nothing at a FLUSH: the way of the arms that compute nothing ahead."""

    def __init__(self) -> None:
        self.warms = NaiveWarms()

    async def __call__(self, stroke: Stroke) -> None:
        """Do what the arm does at a FLUSH, without waiting for the server."""

    async def settled(self) -> None:
        """Wait for requests that the session's report does not count."""

    def cancel(self) -> None:
        """Stop those that still run."""


class SessionFlush(Flush):
    """Flushes the session."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    async def __call__(self, stroke: Stroke) -> None:
        await self._session.flush(confirmed=stroke.confirmed)


class NaiveFlush(Flush):
    """Has the whole text so far computed at every word, as a plain request of one token."""

    TASK_NAME = "naive warm"

    def __init__(self, client: PlainClient, talk: Sequence[Message]) -> None:
        super().__init__()
        self._client = client
        self._talk = tuple(talk)
        self._tasks: list[asyncio.Task[None]] = []
        self._words = ""

    async def __call__(self, stroke: Stroke) -> None:
        words = stroke.draft[: find_last_boundary(stroke.draft)]
        if words == self._words:  # a FLUSH within a long word
            return
        self._words = words
        self.warms.requests += 1
        self._tasks.append(asyncio.create_task(self._warm(stroke.draft), name=self.TASK_NAME))

    async def _warm(self, text: str) -> None:
        with contextlib.suppress(ForefillError):  # it costs speed alone
            self.warms.add(await self._client.ask(self._talk, text, 1))

    async def settled(self) -> None:
        """Wait for all of them, so that none goes uncounted or disturbs the next trial."""
        await asyncio.gather(*self._tasks)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()


def flush_of(arm: Arm, session: Session, plain: PlainClient, talk: Sequence[Message]) -> Flush:
    """Return an arm's way of computing ahead; `plain` and `talk` are those of naive requests."""
    if arm.warms_naively:
        return NaiveFlush(plain, talk)
    return SessionFlush(session) if arm.warms else Flush()
