"""Runs one trial of one arm: prepares what is to be cached, plays the script, and takes the answer in."""

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from forefill_client.client import AsyncClient
from forefill_client.errors import ForefillError
from forefill_client.options import Sampling
from forefill_client.session import Session

from ..report.results import NaiveWarms, Served, from_reply, from_report
from ..typing import texts
from ..typing.arms import Arm, Prepared
from ..typing.schedule import Trial
from ..typing.script import Kind, Script, Stroke
from .doors import REQUEST_TIMEOUT_SECONDS, Door, ForefillDoor, HttpDoor

SPIN_SECONDS = 0.002
"""An event loop wakes up to a millisecond late: before Enter it is asked over and over instead."""

Message = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Site:
    """Where trials run: forefill, and where there is one, vLLM's own endpoint."""

    client: AsyncClient
    http: HttpDoor | None
    nonces: texts.Nonces
    #: Most tokens of an answer.
    max_tokens: int
    #: A forefill in front of that endpoint.
    remote: AsyncClient | None = None

    def forefill(self, arm: Arm) -> AsyncClient:
        """Return the forefill that serves an arm."""
        if not arm.over_remote:
            return self.client
        if self.remote is None:
            raise ForefillError("the arm `remote` needs vLLM's own endpoint: pass --direct URL")
        return self.remote

    def door(self, arm: Arm) -> Door:
        """Return where this arm's plain generations go."""
        if not arm.over_http:
            return ForefillDoor(self.forefill(arm))
        if self.http is None:
            raise ForefillError("the arm `direct` needs vLLM's own endpoint: pass --direct URL")
        return self.http

    def system(self, trial: Trial) -> Message:
        """Return the trial's system message: with a nonce of its own, unless its arm is to find a shared one cached."""
        shares = trial.workload.shared and not trial.arm.stays_uncached
        nonce = self.nonces.kept((trial.workload.name, trial.arm.name)) if shares else self.nonces.fresh()
        ending = "" if trial.workload.shared else texts.ending(max(0, trial.index))
        return "system", f"{nonce} {trial.workload.system}{ending}"


async def run_trial(site: Site, trial: Trial) -> list[Served]:
    """Run a session, and return what each of its turns cost."""
    arm, talk = trial.arm, [site.system(trial)]
    results = []
    async with AsyncExitStack() as stack:
        session: Session | None = None
        for script in trial.scripts:
            text = script[-1].draft
            await prepare(site, arm, talk, text)
            if arm.over_http:
                due_at = time.perf_counter() + script[-1].at_ms / 1000
                served = await ask_at(site.door(arm), talk, text, site.max_tokens, due_at)
            else:
                if session is None or arm.stays_uncached:
                    session = await stack.enter_async_context(open_session(site, arm, talk))
                served = await play(site, arm, session, talk, script, time.perf_counter())
            results.append(served)
            talk += [("user", text), ("assistant", served.text)]
            if arm.stays_uncached:
                talk[0] = site.system(trial)
    return results


async def prepare(site: Site, arm: Arm, talk: list[Message], text: str) -> None:
    """Have cached what the arm wants cached beforehand."""
    if arm.prepared is not Prepared.NOTHING:
        asked = text if arm.prepared is Prepared.WHOLE else texts.READY
        await site.door(arm).ask(talk, asked, 1)


def open_session(site: Site, arm: Arm, talk: list[Message]) -> Session:
    """Make the session of a user of this arm; its blocks may be hit by whoever has the same nonce."""
    return site.forefill(arm).session(
        talk,
        sampling=Sampling(temperature=0.0, max_tokens=site.max_tokens),
        warm_mode=arm.warm_mode,
        pregeneration=arm.pregeneration,
        auto_flush=False,
    )


async def ask_at(door: Door, talk: list[Message], text: str, max_tokens: int, due_at: float) -> Served:
    """Ask for one plain generation at its instant."""
    await wait_until(due_at, spin=True)
    async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
        return from_reply(await door.ask(talk, text, max_tokens), due_at)


async def play(site: Site, arm: Arm, session: Session, talk: list[Message], script: Script, began_at: float) -> Served:
    """Do every stroke at its instant, whatever the server does, and take in the answer."""
    flush = _NaiveFlush(site, list(talk)) if arm.warms_naively else _Flush(session, arm)
    try:
        for stroke in script[:-1]:
            await wait_until(began_at + stroke.at_ms / 1000)
            await (flush(stroke) if stroke.kind is Kind.FLUSH else _edit(session, stroke))
        due_at = began_at + script[-1].at_ms / 1000
        await wait_until(due_at, spin=True)
        late_seconds = time.perf_counter() - due_at
        async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
            answer = await session.submit(script[-1].draft)
            text = await answer.text()
        await flush.settled()
    finally:
        flush.cancel()
    return from_report(text, answer.report, late_seconds=late_seconds, naive=flush.warms)


async def _edit(session: Session, stroke: Stroke) -> None:
    match stroke.kind:
        case Kind.TYPE:
            await session.type(stroke.text)
        case Kind.DELETE:
            await session.delete()
        case Kind.REPLACE:
            await session.replace(stroke.start, stroke.end, stroke.text)


class _Flush:
    """Flushes the session, if its arm warms at all."""

    def __init__(self, session: Session, arm: Arm) -> None:
        self.warms = NaiveWarms()
        self._session = session
        self._active = arm.warms

    async def __call__(self, stroke: Stroke) -> None:
        if self._active:
            await self._session.flush(confirmed=stroke.confirmed)

    async def settled(self) -> None:
        """Wait for nothing: the session's report tells all."""

    def cancel(self) -> None:
        """Leave it to the session."""


class _NaiveFlush:
    """Has the whole text so far computed, as a request of one token, and waits for nothing."""

    def __init__(self, site: Site, talk: list[Message]) -> None:
        self.warms = NaiveWarms()
        self._door = ForefillDoor(site.client)
        self._talk = talk
        self._tasks: list[asyncio.Task[None]] = []

    async def __call__(self, stroke: Stroke) -> None:
        self.warms.requests += 1
        self._tasks.append(asyncio.create_task(self._warm(stroke.draft)))

    async def _warm(self, text: str) -> None:
        with contextlib.suppress(ForefillError):  # it costs speed alone
            self.warms.add(await self._door.ask(self._talk, text, 1))

    async def settled(self) -> None:
        """Wait for what still runs, so that it neither goes uncounted nor disturbs who comes next."""
        await asyncio.gather(*self._tasks)

    def cancel(self) -> None:
        """Stop what still runs."""
        for task in self._tasks:
            task.cancel()


async def wait_until(instant: float, *, spin: bool = False) -> None:
    """Wait until an instant of `time.perf_counter`; with `spin` to within microseconds."""
    early = SPIN_SECONDS if spin else 0.0
    await asyncio.sleep(max(0.0, instant - early - time.perf_counter()))
    while spin and time.perf_counter() < instant:  # noqa: ASYNC110 (a clock sets no event)
        await asyncio.sleep(0)
