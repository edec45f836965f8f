"""Runs one window of load: typists and plain generations, each at its instant, whatever the server does."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from forefill_client.errors import ForefillError

from ..report.results import BackgroundRow, RequestRow, Served
from ..typing.schedule import Arrival, Cell, PlannedSession, Trial
from ..typing.workloads import LOAD, WORKLOADS
from .doors import REQUEST_TIMEOUT_SECONDS
from .trial import Message, Site, ask_at, open_session, play, prepare, wait_until

OPEN_EARLY_MS: Final = 1000.0
"""A user's box is open this long before the first key."""
BACKGROUND_SYSTEM: Final = "You are a storyteller."
BACKGROUND_TOKENS: Final = 48
FAILURES: Final = (ForefillError, TimeoutError)


@dataclass(slots=True)
class Measured:
    """What a window gave: counted SUBMITs and plain generations alone."""

    requests: list[RequestRow] = field(default_factory=list)
    background: list[BackgroundRow] = field(default_factory=list)


class LoadWindow:
    """One cell, run once."""

    def __init__(self, site: Site, cell: Cell) -> None:
        self._site = site
        self._cell = cell
        self._arm = cell.arm
        self._began_at = 0.0
        self._measured = Measured()

    async def run(self, progress: Callable[[float], None]) -> Measured:
        """Run it; `progress` is called now and then with the seconds so far."""
        window = self._cell.window
        prepared = [await self._prepared(session) for session in window.sessions]
        self._began_at = time.perf_counter()
        works = [
            (self._session(session, system), session.counted)
            for session, system in zip(window.sessions, prepared, strict=True)
        ]
        works += [(self._background(index, arrival), arrival.counted) for index, arrival in enumerate(window.arrivals)]
        over = wait_until(self._began_at + window.ends_ms / 1000)
        await run_counted(works, over, lambda: progress(time.perf_counter() - self._began_at))
        return self._measured

    async def _prepared(self, session: PlannedSession) -> Message:
        """Return the session's system message, with all cached that its arm wants cached."""
        system = self._site.system(Trial(WORKLOADS[LOAD], self._arm, session.index, (session.script,)))
        if session.counted:
            await prepare(self._site, self._arm, [system], session.script[-1].draft)
        return system

    async def _session(self, planned: PlannedSession, system: Message) -> None:
        try:
            served = await self._served(planned, [system])
        except FAILURES as error:
            served = Served(error=told(error))
        if planned.counted:
            cell, query = self._cell, planned.script[-1].draft
            row = RequestRow(LOAD, cell.window.typists, self._arm.name, query, planned.index, 0, served)
            self._measured.requests.append(row)

    async def _served(self, planned: PlannedSession, talk: list[Message]) -> Served:
        site, arm, text = self._site, self._arm, planned.script[-1].draft
        began_at = self._began_at + planned.begins_ms / 1000
        if arm.over_http:
            due_at = self._began_at + planned.submits_ms / 1000
            return await ask_at(site.door(arm), talk, text, site.max_tokens, due_at)
        await wait_until(began_at - OPEN_EARLY_MS / 1000)
        async with open_session(site, arm, talk) as session:
            return await play(site, arm, session, talk, planned.script, began_at)

    async def _background(self, index: int, arrival: Arrival) -> None:
        due_at = self._began_at + arrival.at_ms / 1000
        cell = self._cell
        place = (LOAD, cell.window.typists, self._arm.name, index)
        talk = [("system", f"{self._site.nonces.fresh()} {BACKGROUND_SYSTEM}")]
        await wait_until(due_at)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                reply = await self._site.door(self._arm).ask(talk, arrival.text, BACKGROUND_TOKENS)
        except FAILURES as error:
            row = BackgroundRow(*place, error=told(error))
        else:
            row = BackgroundRow(
                *place,
                ttft_ms=(reply.first_token_at - due_at) * 1000,
                answer_ms=(reply.ended_at - due_at) * 1000,
                gaps_ms=tuple(reply.gaps_ms),
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
            )
        if arrival.counted:
            self._measured.background.append(row)


async def run_counted(
    works: list[tuple[Coroutine[Any, Any, None], bool]], window: Coroutine[Any, Any, None], tick: Callable[[], None]
) -> None:
    """Run works, counted or not, all at once; cut off what is not counted when the rest and the window are over.

    `tick` is called every second; what it raises ends the run.
    """
    tasks = [(asyncio.create_task(work), counted) for work, counted in works]
    over = asyncio.create_task(window)
    awaited = {over, *(task for task, counted in tasks if counted)}
    try:
        while awaited:
            tick()
            done, awaited = await asyncio.wait(awaited, timeout=1.0)
            for task in done:
                task.result()
    finally:
        for task in (over, *(task for task, _ in tasks)):
            task.cancel()
        await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)


def told(error: BaseException) -> str:
    """Say why there is no answer, in one line."""
    return str(error) or type(error).__name__
