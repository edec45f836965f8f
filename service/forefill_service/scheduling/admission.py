"""The order in which speculative work gets an engine: pre-generations before warms, in the room that answers leave.

vLLM's own priorities order only its queue; a long warm in the running batch makes every running answer wait. So
speculative work asks here first, and waits until there is room (`in_flight`) and its turn has come:

    order                                    why
    pre-generations before warms             SUBMIT may ask for one at any moment
    the tenant that was given much less      no tenant crowds out another; tenants within a factor of two are equal, or
    lately                                   deadlines of two tenants would never be compared
    the earlier deadline (`deadlines`)       sessions far from Enter give way; work without a deadline comes last
    the session that was given less lately   among equal deadlines. Sessions of one tenant need no other fairness: what
                                             one lacks ends with its prompt, and if it is much, its deadline is late
    the one that has waited longer

The prefill is planned when its turn comes, not before, so nothing is sent that is no longer wanted. Under pressure
warms are shed, and under more of it pre-generations too (`pressure`). Work that waits longer than `wait_seconds` is
shed, too.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from ..cache.prefill import Prefill, Room, Wait
from ..engine.base import Engine, Priority
from ..session.responses import ShedReason
from .deadlines import Due, Work, needed_seconds, work_of
from .fair_shares import FairShares
from .in_flight import InFlight, Limits, Permit
from .prefill_times import PrefillTimes
from .pressure import Pressure, PressureGauge

__all__ = ["Admission", "Permit", "Plan", "Shed", "Waited"]

POLL_SECONDS = 0.05
"""How often those who wait are served if nothing else happens."""
SHORTEST_POLL_SECONDS = 0.001

Plan = Callable[[Room, float], Prefill | Wait | None]
"""Returns the prefill to send now in this room, None for none, or Wait if there is one that cannot start yet."""

_SHED_AT = {Priority.WARM: Pressure.WARMS, Priority.PREGENERATION: Pressure.PREGENERATIONS}


class Waited(Enum):
    """How a wait for a permit ends."""

    ADMITTED = auto()
    UNNEEDED = auto()
    """Nothing was left to do when its turn came."""
    SHED = auto()
    GIVEN_UP = auto()
    """Nobody waits any more."""


OnWaited = Callable[[Priority, Waited, float], None]
"""Takes note of the end of a wait, and of its seconds."""


class Shed(Exception):
    """Raised when speculative work is not admitted; `reason` is what the client is told."""

    def __init__(self, reason: ShedReason) -> None:
        super().__init__(reason.name)
        self.reason = reason


@dataclass(eq=False, slots=True)
class _Waiter:
    priority: Priority
    tenant: str
    session: str
    plan: Plan
    since: float
    due: Due | None
    permit: asyncio.Future[Permit]
    work: Work | None = None
    is_behind_another: bool = False


class Admission:
    """Admits speculative work to one engine, on one event loop. Times are seconds of `clock`."""

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        times: PrefillTimes,
        gauge: PressureGauge,
        clock: Callable[[], float],
        on_waited: OnWaited = lambda priority, waited, seconds: None,
    ) -> None:
        self.times = times
        self._on_waited = on_waited
        self._engine = engine
        self._gauge = gauge
        self._clock = clock
        self._wait_seconds = limits.wait_seconds
        self._in_flight = InFlight(engine, limits, times)
        self._waiters: list[_Waiter] = []
        self._afterwards: dict[Permit, Due] = {}
        self._tenants, self._sessions = FairShares(), FairShares()
        self._poll: asyncio.TimerHandle | None = None

    @property
    def pressure(self) -> Pressure:
        """The pressure on the engine now."""
        return self._gauge.read(self._engine.load, self.speculative, self._clock())

    @property
    def waiting(self) -> int:
        """The number of permits that are waited for."""
        return len(self._waiters)

    @property
    def speculative(self) -> int:
        """The number of warms and pre-generations in the engine."""
        return self._in_flight.speculative

    @property
    def pregenerations(self) -> int:
        """The number of pre-generations in the engine."""
        return self._in_flight.pregenerations

    @property
    def generations(self) -> int:
        """The number of generations of our own in the engine."""
        return self._in_flight.generations

    @property
    def answers(self) -> int:
        """The number of answers that the engine is known to work on, ours and others'."""
        return self._in_flight.generations + (self._engine.load.others or 0)

    def has_slot(self, priority: Priority) -> bool:
        """Return whether one more piece of speculative work may start now, if it is small enough."""
        return self._in_flight.has_slot(priority)

    def largest(self, cached_tokens: int) -> float:
        """Return how many new tokens a piece may compute after this many cached ones, when its turn comes."""
        return self._in_flight.largest(cached_tokens)

    @contextmanager
    def generation(self) -> Iterator[Callable[[], None]]:
        """Count a generation for the duration of the block; call the yielded function at each of its tokens."""
        try:
            with self._in_flight.generation(self._clock()) as counted:

                def token() -> None:
                    if counted(self._clock()):
                        self.dispatch()

                yield token
        finally:
            self.dispatch()

    @asynccontextmanager
    async def permit(
        self, priority: Priority, tenant: str, session: str, plan: Plan, due: Due | None = None
    ) -> AsyncIterator[Permit]:
        """Wait for a permit and hold it for the duration of the block.

        Work that is `due` is planned in the smallest room that meets all deadlines, other work in all room there is.
        Raises Shed if the engine is under pressure or down, or if the wait takes too long.
        """
        future: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(priority, tenant, session, plan, self._clock(), due, future)
        self._waiters.append(waiter)
        try:
            self.dispatch()
            yield await self._waited_for(waiter)
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            if future.done() and not future.cancelled() and future.exception() is None:
                self._afterwards.pop(future.result(), None)
                self._in_flight.end(future.result())
                self.dispatch()

    async def _waited_for(self, waiter: _Waiter) -> Permit:
        """Return the permit, and report how the wait for it ended. Raises Shed."""
        waited = Waited.GIVEN_UP
        try:
            permit = await waiter.permit
            waited = Waited.UNNEEDED if permit.prefill is None else Waited.ADMITTED
            return permit
        except Shed:
            waited = Waited.SHED
            raise
        finally:
            self._on_waited(waiter.priority, waited, self._clock() - waiter.since)

    def withdraw(self, priority: Priority, session: str) -> None:
        """Give a session that waits a permit for nothing, because it no longer wants anything."""
        for waiter in self._waiters:
            if waiter.session == session and waiter.priority is priority and not waiter.permit.done():
                waiter.permit.set_result(Permit(priority, None, self._clock()))

    def prefilled(self, permit: Permit, cached_tokens: int | None) -> None:
        """Record that the prompt of a permit is computed; `cached_tokens` is None if the engine reports none."""
        if self._in_flight.prefilled(permit, cached_tokens, self._clock()):
            self.dispatch()

    def dispatch(self) -> None:
        """Admit or shed the work that waits, revoke what must stop, and dispatch again after a while."""
        if self._waiters or self.pregenerations:
            now, pressure = self._clock(), self.pressure
            if pressure is Pressure.PREGENERATIONS:
                self._in_flight.revoke_pregenerations()
            self._in_flight.notice_steps(now)
            needed_seconds = self._needed_seconds(now)
            for waiter in sorted(self._waiters, key=lambda waiter: self._rank(waiter, now)):
                self._serve(waiter, pressure, needed_seconds, now)
            self._dispatch_later(now)

    def _dispatch_later(self, now: float) -> None:
        if not (self._waiters or self.pregenerations):
            return
        delay, step_at, loop = POLL_SECONDS, self._in_flight.next_step_at(), asyncio.get_running_loop()
        if self._waiters and step_at is not None:
            delay = min(POLL_SECONDS, max(SHORTEST_POLL_SECONDS, step_at - now))
        if self._poll is not None:
            if self._poll.when() <= loop.time() + delay:
                return
            self._poll.cancel()
        self._poll = loop.call_later(delay, self._dispatch_again)

    def _dispatch_again(self) -> None:
        self._poll = None
        self.dispatch()

    def _needed_seconds(self, now: float) -> float:
        """Return what the pieces of one step have to add to it, for all that is due; note the work of each waiter."""
        budget, times = self._in_flight.budget_seconds, self.times
        for waiter in self._waiters:
            waiter.work = None if waiter.due is None else work_of(waiter.due, times, budget, now)
        works = [waiter.work for waiter in self._waiters if waiter.work is not None and not waiter.is_behind_another]
        works += [work_of(due, times, budget, now) for due in self._afterwards.values()]
        if self._in_flight.is_quiet and len(works) < 2:
            return math.inf
        return needed_seconds(works, times.coefficients.fixed, now)

    def _rank(self, waiter: _Waiter, now: float) -> tuple[float, ...]:
        tenant = int(self._tenants.lately(waiter.tenant, now)).bit_length()
        deadline = math.inf if waiter.work is None else waiter.work.deadline
        return waiter.priority, tenant, deadline, self._sessions.lately(waiter.session, now), waiter.since

    def _serve(self, waiter: _Waiter, pressure: Pressure, needed_seconds: float, now: float) -> None:
        if waiter.permit.done():
            return
        if not self._engine.up:
            self._shed(waiter, ShedReason.FAILED)
        elif pressure >= _SHED_AT[waiter.priority] or now - waiter.since > self._wait_seconds:
            self._shed(waiter, ShedReason.LOAD)
        elif self._in_flight.has_slot(waiter.priority):
            needed_seconds = math.inf if waiter.due is None else needed_seconds
            planned = waiter.plan(partial(self._in_flight.room, now=now, needed_seconds=needed_seconds), now)
            waiter.is_behind_another = planned is Wait.COMPUTED_BY_ANOTHER
            if not isinstance(planned, Wait):
                self._admit(waiter, planned, now)

    def _shed(self, waiter: _Waiter, reason: ShedReason) -> None:
        self._waiters.remove(waiter)
        waiter.permit.set_exception(Shed(reason))

    def _admit(self, waiter: _Waiter, planned: Prefill | None, now: float) -> None:
        self._waiters.remove(waiter)
        if planned is None:
            waiter.permit.set_result(Permit(waiter.priority, None, now))
            return
        self._tenants.give(waiter.tenant, planned.new_tokens, now)
        self._sessions.give(waiter.session, planned.new_tokens, now)
        permit = self._in_flight.start(waiter.priority, planned, now)
        if waiter.due is not None and (after := waiter.due.after(planned)) is not None:
            self._afterwards[permit] = after
        waiter.permit.set_result(permit)
