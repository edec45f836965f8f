"""Runs one window of load: typists and plain generations, each at its instant, whatever the server does."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from forefill_client.errors import ForefillError

from ..report.results import BackgroundRow, Reply, RequestRow, Served
from ..typing.playing import run_counted
from ..typing.schedule import OPEN_EARLY_MS, Arrival, Cell, PlannedSession, Trial
from ..typing.texts import BACKGROUND_SYSTEM
from ..typing.workloads import LOAD, WORKLOADS
from .plain import REQUEST_TIMEOUT_SECONDS, Message
from .player import open_session
from .targets import BenchTargets
from .trial import prepare, serve

BACKGROUND_TOKENS: Final = 48
FAILURES: Final = (ForefillError, TimeoutError)
"""Raised when one request goes wrong: a row of the results, and the run goes on."""


@dataclass(slots=True)
class Measured:
    """The counted SUBMITs and plain generations of a window."""

    requests: list[RequestRow] = field(default_factory=list)
    background: list[BackgroundRow] = field(default_factory=list)


class LoadWindow:
    """One cell, run once."""

    def __init__(self, targets: BenchTargets, cell: Cell) -> None:
        self._targets = targets
        self._clock = targets.clock
        self._cell = cell
        self._arm = cell.arm
        self._began_at = 0.0
        self._measured = Measured()

    async def run(self, progress: Callable[[float], None]) -> Measured:
        """Run it; `progress` is called every second with the seconds so far."""
        window = self._cell.window
        prepared = [await self._prepared(session) for session in window.sessions]
        self._began_at = self._clock.now()
        works = [
            (self._session(session, system), session.counted)
            for session, system in zip(window.sessions, prepared, strict=True)
        ]
        works += [(self._background(index, arrival), arrival.counted) for index, arrival in enumerate(window.arrivals)]
        over = self._clock.until(self._instant(window.ends_ms))
        await run_counted(works, over, lambda: progress(self._clock.now() - self._began_at))
        return self._measured

    async def _prepared(self, session: PlannedSession) -> Message:
        """Return the session's system message, with all cached that its arm wants cached."""
        system = self._targets.system(Trial(WORKLOADS[LOAD], self._arm, session.index, (session.script,)))
        if session.counted:
            await prepare(self._targets, self._arm, [system], session.script[-1].draft)
        return system

    async def _session(self, planned: PlannedSession, system: Message) -> None:
        try:
            served = await self._served(planned, [system])
        except FAILURES as error:
            served = Served(error=one_line_of(error))
        if planned.counted:
            cell, query = self._cell, planned.script[-1].draft
            row = RequestRow(LOAD, cell.window.typists, self._arm.name, query, planned.index, 0, served)
            self._measured.requests.append(row)

    async def _served(self, planned: PlannedSession, talk: list[Message]) -> Served:
        targets, arm = self._targets, self._arm
        begins_at = self._instant(planned.begins_ms)
        if arm.over_http:
            return await serve(targets, arm, None, talk, planned.script, begins_at)
        await self._clock.until(begins_at - OPEN_EARLY_MS / 1000)
        async with open_session(targets.forefill(arm), arm, talk, targets.max_tokens) as session:
            return await serve(targets, arm, session, talk, planned.script, begins_at)

    async def _background(self, index: int, arrival: Arrival) -> None:
        due_at = self._instant(arrival.at_ms)
        talk = [("system", f"{self._targets.nonces.fresh()} {BACKGROUND_SYSTEM}")]
        await self._clock.until(due_at)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                reply = await self._targets.plain(self._arm).ask(talk, arrival.text, BACKGROUND_TOKENS)
            row = self._background_row(index, reply, due_at)
        except FAILURES as error:
            row = BackgroundRow(LOAD, self._cell.window.typists, self._arm.name, index, error=one_line_of(error))
        if arrival.counted:
            self._measured.background.append(row)

    def _background_row(self, index: int, reply: Reply, due_at: float) -> BackgroundRow:
        return BackgroundRow(
            LOAD,
            self._cell.window.typists,
            self._arm.name,
            index,
            ttft_ms=(reply.first_token_at - due_at) * 1000,
            answer_ms=(reply.ended_at - due_at) * 1000,
            gaps_ms=tuple(reply.gaps_ms),
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )

    def _instant(self, at_ms: float) -> float:
        return self._began_at + at_ms / 1000


def one_line_of(error: BaseException) -> str:
    """Return the reason why there is no answer, as one line."""
    return str(error) or type(error).__name__
