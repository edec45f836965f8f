"""Who may use the engine now: generations at once, then pre-generations, then warms in what is left.

vLLM's own priorities order its queue alone; a long warm in the running batch makes every running answer wait. So work
that is speculation asks here first:

    a generation waits for its first token     nothing speculative starts
    answers run, or it is not known            pieces that add at most `busy_seconds` to a step, all in flight together
    nothing else runs                          pieces that add at most `idle_seconds`
    the engine is under pressure               warms are shed; under more of it, pre-generations too (`pressure`)

Who waits is served in this order: pre-generations before warms, then the tenant that was given least lately, then the
session given least lately. What is asked for is planned when its turn comes, not before, so nothing is sent that is no
longer wanted; who waits longer than `wait_seconds` is shed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from ..cache.prefill import Prefill, Room, Wait
from ..engine.base import Engine, Priority
from ..session.responses import ShedReason
from .fair_shares import FairShares
from .prefill_times import PrefillTimes
from .pressure import Pressure, PressureGauge

POLL_SECONDS = 0.05
"""How often those who wait are looked at while nothing else happens."""

Plan = Callable[[Room, float], Prefill | Wait | None]


_SHED_AT = {Priority.WARM: Pressure.WARMS, Priority.PREGENERATION: Pressure.PREGENERATIONS}


@dataclass(frozen=True, slots=True)
class Limits:
    """What speculation may take: seconds that all in flight add to a step, tokens of one piece, numbers, waits."""

    busy_seconds: float = 0.05
    idle_seconds: float = 0.15
    piece_tokens: int = 2048
    in_flight: int = 4
    pregenerations: int = 2
    wait_seconds: float = 5.0


class Shed(Exception):
    """Raised where work is not admitted; `reason` is what the client is told."""

    def __init__(self, reason: ShedReason) -> None:
        super().__init__(reason.name)
        self.reason = reason


@dataclass(eq=False, slots=True)
class Permit:
    """Speculative work that was admitted; `prefill` is None where nothing was left to do.

    `revoked` is set when it must make way.
    """

    priority: Priority
    prefill: Prefill | None
    began_at: float
    added_seconds: float
    alone: bool
    revoked: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False, slots=True)
class _Waiting:
    """Who waits for a turn: `plan` says what to send in the room that there is, once the turn has come."""

    priority: Priority
    tenant: str
    session: str
    plan: Plan
    since: float
    turn: asyncio.Future[Permit]


class Admission:
    """The gate of one engine, for one event loop. Times are those of `clock`, in seconds."""

    def __init__(
        self, engine: Engine, limits: Limits, times: PrefillTimes, gauge: PressureGauge, clock: Callable[[], float]
    ) -> None:
        self.limits = limits
        self.times = times
        self._engine = engine
        self._block_size = engine.info.block_size
        self._gauge = gauge
        self._clock = clock
        self._tenants, self._sessions = FairShares(), FairShares()
        self._waiting: list[_Waiting] = []
        self._prefilling: set[Permit] = set()
        self._pregenerating: set[Permit] = set()
        self._generations = 0
        self._without_first_token = 0
        self._poll: asyncio.TimerHandle | None = None

    @property
    def pressure(self) -> Pressure:
        """How hard the engine is pressed now."""
        return self._gauge.read(self._engine.load, self.speculative, self._clock())

    @property
    def speculative(self) -> int:
        """How many warms and pre-generations are in the engine now."""
        return len(self._prefilling | self._pregenerating)

    @contextmanager
    def generation(self) -> Iterator[Callable[[], None]]:
        """Count a generation for the time of the block; call what this yields at its first token."""
        waits = True

        def first_token() -> None:
            nonlocal waits
            if waits:
                waits = False
                self._without_first_token -= 1
                self.dispatch()

        self._generations += 1
        self._without_first_token += 1
        self._disturb()
        try:
            yield first_token
        finally:
            self._generations -= 1
            first_token()
            self.dispatch()

    @asynccontextmanager
    async def permit(self, priority: Priority, tenant: str, session: str, plan: Plan) -> AsyncIterator[Permit]:
        """Wait for a turn and hold it for the time of the block.

        Raises Shed instead where the engine is under pressure, or where the turn does not come in time.
        """
        future: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(priority, tenant, session, plan, self._clock(), future)
        self._waiting.append(waiting)
        try:
            self.dispatch()
            turn = await future
            yield turn
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            if future.done() and not future.cancelled() and future.exception() is None:
                self._prefilling.discard(future.result())
                self._pregenerating.discard(future.result())
                self.dispatch()

    def withdraw(self, priority: Priority, session: str) -> None:
        """Let a session that waits for a turn go on without one: it no longer wants anything."""
        for waiting in self._waiting:
            if waiting.session == session and waiting.priority is priority and not waiting.turn.done():
                waiting.turn.set_result(Permit(priority, None, self._clock(), 0.0, alone=False))

    def prefilled(self, turn: Permit, cached_tokens: int | None) -> None:
        """Take it that a turn's prompt is computed, of which the engine found `cached_tokens` cached, if it tells."""
        if turn in self._prefilling:
            self._prefilling.remove(turn)
            if turn.alone and turn.prefill is not None and cached_tokens is not None:
                computed = len(turn.prefill.prefix) - cached_tokens
                self.times.observe(computed, cached_tokens, self._clock() - turn.began_at)
            self.dispatch()

    def dispatch(self) -> None:
        """Serve whoever can be served now, revoke what must make way, and look again after a while."""
        if self._waiting or self._pregenerating:
            now, pressure = self._clock(), self.pressure
            if pressure is Pressure.PREGENERATIONS:
                for turn in self._pregenerating:
                    turn.revoked.set()
            for waiting in sorted(self._waiting, key=lambda who: self._rank(who, now)):
                self._serve(waiting, pressure, now)
        if (self._waiting or self._pregenerating) and self._poll is None:
            self._poll = asyncio.get_running_loop().call_later(POLL_SECONDS, self._dispatch_again)

    def _dispatch_again(self) -> None:
        self._poll = None
        self.dispatch()

    def _rank(self, who: _Waiting, now: float) -> tuple[float, ...]:
        tenant, session = self._tenants.lately(who.tenant, now), self._sessions.lately(who.session, now)
        return who.priority, tenant, session, who.since

    def _serve(self, who: _Waiting, pressure: Pressure, now: float) -> None:
        if who.turn.done():
            return
        if not self._engine.up:
            self._shed(who, ShedReason.FAILED)
            return
        if pressure >= _SHED_AT[who.priority] or now - who.since > self.limits.wait_seconds:
            self._shed(who, ShedReason.LOAD)
            return
        if self._without_first_token or len(self._prefilling) >= self.limits.in_flight:
            return
        if who.priority is Priority.PREGENERATION and len(self._pregenerating) >= self.limits.pregenerations:
            return
        planned = who.plan(self._room, now)
        if isinstance(planned, Wait):
            return
        self._waiting.remove(who)
        who.turn.set_result(self._begin(who, planned, now))

    def _shed(self, who: _Waiting, reason: ShedReason) -> None:
        self._waiting.remove(who)
        who.turn.set_exception(Shed(reason))

    def _begin(self, who: _Waiting, planned: Prefill | None, now: float) -> Permit:
        seconds = 0.0 if planned is None else self.times.added_seconds(planned.new_tokens, planned.frontier)
        alone = not (self._prefilling or self._pregenerating or self._answers_run)
        turn = Permit(who.priority, planned, now, seconds, alone)
        if planned is None:
            return turn
        self._disturb()
        self._prefilling.add(turn)
        if who.priority is Priority.PREGENERATION:
            self._pregenerating.add(turn)
        self._tenants.give(who.tenant, planned.new_tokens, now)
        self._sessions.give(who.session, planned.new_tokens, now)
        return turn

    def _room(self, cached_tokens: int) -> int:
        """Return how many new tokens a piece may have now, behind so many cached ones."""
        quiet = not self._answers_run and self._engine.load.others is not None
        seconds = self.limits.idle_seconds if quiet else self.limits.busy_seconds
        seconds -= sum(turn.added_seconds for turn in self._prefilling)
        most = max(self.limits.piece_tokens, self._block_size)
        tokens = int(min(self.times.tokens_within(seconds, cached_tokens), most))
        if self._answers_run or self._prefilling:
            return tokens
        return max(tokens, self._block_size)  # on an engine this slow, too, something must go on

    @property
    def _answers_run(self) -> bool:
        """Whether anyone's answer runs, as far as is known: of requests that are not ours the engine tells."""
        return bool(self._generations or self._engine.load.others)

    def _disturb(self) -> None:
        """Take it that what is in flight is not alone on the engine: its time says nothing."""
        for turn in self._prefilling:
            turn.alone = False
