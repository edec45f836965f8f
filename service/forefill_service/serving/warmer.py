"""Warms for one session: renders what a FLUSH confirmed, has what is missing of it computed, answers the FLUSH.

One task works on one wish at a time, so a session never has two warms in flight, and the latest wish wins: one that
still waits is answered at once, one that is worked on is withdrawn, which ends it after the piece that runs. If there
is none, it works on what a pause asks for. A failure here costs speed alone; nothing is raised but the engine's death.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto

from ..cache.planner import next_prefill, refresh_prefill
from ..cache.prefill import Prefill, Room, Wait
from ..cache.view import CacheView
from ..chat.token_ids import TokenIds
from ..errors import Refusal
from ..fleet.replicas import Place
from ..scheduling.admission import Shed
from ..scheduling.deadlines import Due
from ..session.responses import FlushOutcome, FlushResult, ShedReason
from .owner import Owner
from .prefiller import Prefiller
from .turn import Turn

log = logging.getLogger(__name__)


class Warmed(Enum):
    """What became of warming in a pause."""

    ALL = auto()
    """Nothing lacks any more."""
    NOT_NOW = auto()
    """There was no room, it failed, or something else came first."""
    NEVER = auto()
    """Warming has no effect, is throttled, or evicts what it computes."""


@dataclass(eq=False, slots=True)
class Wish:
    """What a FLUSH, the beginning of a turn, or a pause asks to have warm; `withdrawn` once something later came first.

    `seq` is that of the FLUSH to answer; None: nobody waits for an answer. `warmed` is set for a pause alone: what
    becomes of it. `crowded` says that the engine evicts as fast as it computes. If it is `urgent`, its deadline is now;
    otherwise it is the session's next Enter.
    """

    turn: Turn
    confirmed: str
    seq: int | None = None
    stable: TokenIds | None = None
    computed_tokens: int = 0
    withdrawn: bool = False
    answered: bool = False
    crowded: bool = False
    warmed: asyncio.Future[Warmed] | None = None
    urgent: bool = False

    def ended(self, outcome: FlushOutcome, reason: ShedReason = ShedReason.UNSPECIFIED) -> None:
        """Report to a pause what became of it."""
        if self.warmed is not None and not self.warmed.done():
            never = self.crowded or reason in (ShedReason.PAYBACK, ShedReason.QUOTA)
            not_now = Warmed.NEVER if never else Warmed.NOT_NOW
            self.warmed.set_result(not_now if outcome in (FlushOutcome.SHED, FlushOutcome.DEFERRED) else Warmed.ALL)

    def planning(self, view: CacheView, room: Room, now: float) -> Prefill | Wait | None:
        """Return what to send now; None if nothing is wanted any more, or nothing lacks."""
        if self.withdrawn or self.stable is None:
            return None
        return next_prefill(view, self.stable, room, now)


class Warmer:
    """The wishes of one session, and the task that works on them.

    `answer` sends a FlushResult. `enter_at` returns when Enter is expected, by the backend's clock; without it warms
    have a default deadline. If `off_reason` says why, nothing is ever warmed.
    """

    def __init__(
        self,
        owner: Owner,
        prefiller: Prefiller,
        answer: Callable[[FlushResult], Awaitable[None]],
        *,
        enter_at: Callable[[], float] | None = None,
        off_reason: str = "",
    ) -> None:
        self._owner = owner
        self._prefiller = prefiller
        self._clock = owner.backend.clock
        self._answer = answer
        self._enter_at = enter_at
        self._off_reason = off_reason
        self._waiting: Wish | None = None
        self._in_silence: Wish | None = None
        self._working: Wish | None = None
        self._refresh: Turn | None = None
        self._last: Turn | None = None
        self._wake = asyncio.Event()
        self._answering = asyncio.Lock()
        self._active_at = self._clock()

    @property
    def inert_reason(self) -> str:
        """Why nothing is warmed where requests go now; "" if it is. A FLUSH is answered with that."""
        return self._off_reason or self._owner.route.now.replica.inert_reason

    async def wish(self, wish: Wish) -> None:
        """Warm this instead of what was wished before."""
        self._last = wish.turn
        if self.inert_reason:
            await self._tell(wish, FlushOutcome.INERT)
            return
        await self.withdraw()
        self._waiting = wish
        self._active_at = self._clock()
        self._wake.set()

    async def in_silence(self, turn: Turn, ids: TokenIds, *, urgent: bool = False) -> Warmed:
        """Warm these ids when nothing else is wished, `urgent` ones at once; return what became of it."""
        if self.inert_reason:
            return Warmed.NEVER
        warmed: asyncio.Future[Warmed] = asyncio.get_running_loop().create_future()
        self._in_silence = Wish(turn, "", stable=ids, warmed=warmed, urgent=urgent)
        self._wake.set()
        return await warmed

    def silence_is_over(self) -> None:
        """Send nothing more for what a pause asks for; the piece in flight goes on."""
        waiting, self._in_silence = self._in_silence, None
        if waiting is not None:
            waiting.ended(FlushOutcome.DEFERRED)
        if self._working is not None and self._working.warmed is not None:
            self._withdraw_work(self._working)

    async def withdraw(self) -> None:
        """Send nothing more for what was wished so far; the piece in flight goes on."""
        self.silence_is_over()
        waiting, self._waiting = self._waiting, None
        if self._working is not None:
            self._withdraw_work(self._working)
        if waiting is not None:
            await self._tell(waiting, FlushOutcome.DEFERRED)

    async def close(self) -> None:
        """Answer every FLUSH that is not answered yet, in their order."""
        if self._working is not None:
            await self._tell(self._working, FlushOutcome.DEFERRED)
        await self.withdraw()
        async with self._answering:  # one answer may still be on its way
            pass

    def holds(self, place: Place, ids: TokenIds) -> None:
        """Record that an answer has left these ids cached at a place."""
        self._active_at = self._prefiller.used_at = self._clock()
        self._owner.view(place).hold(ids, self._active_at)

    def touch_if_due(self, now: float) -> None:
        """Use what the session holds once more, if it was silent long enough, and not too long."""
        settings = self._owner.backend.settings
        silent = not self.inert_reason and not (self._working or self._waiting or self._in_silence)
        due = 0 < settings.warming.touch_seconds <= now - self._prefiller.used_at
        if silent and due and now - self._active_at < settings.warming.touch_limit_seconds:
            self._refresh = self._last
            self._wake.set()

    async def run(self) -> None:
        """Warm until cancelled.

        Raises EngineDied.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (wish := self._next()) is not None:
                self._working = wish
                outcome, reason = await self._fulfil(wish)
                wish.ended(outcome, reason)
                await self._tell(wish, outcome, reason)
                self._working = None
            refresh, self._refresh = self._refresh, None
            if refresh is not None:
                await self._touch(refresh)

    def _next(self) -> Wish | None:
        """Take the next wish to work on: a pause asks only for what nothing else does."""
        if (wish := self._waiting) is not None:
            self._waiting = None
        else:
            wish, self._in_silence = self._in_silence, None
        return wish

    def _withdraw_work(self, wish: Wish) -> None:
        wish.withdrawn = True
        self._prefiller.withdraw()

    async def _fulfil(self, wish: Wish) -> tuple[FlushOutcome, ShedReason]:
        """Have computed what a wish lacks, piece by piece; return what became of it."""
        try:
            if wish.stable is None:
                wish.stable = await wish.turn.stable(wish.confirmed)
        except Exception as error:  # if it is more than a warm's problem, SUBMIT will report it
            log.debug("nothing to warm: %s", error.reason.name if isinstance(error, Refusal) else type(error).__name__)
            return FlushOutcome.SHED, ShedReason.FAILED
        outcome = FlushOutcome.NOTHING_NEW
        try:
            self._check_waste(wish, wish.stable)
            while self._lacking(wish.stable):
                if wish.withdrawn:
                    return FlushOutcome.DEFERRED, ShedReason.UNSPECIFIED
                if await self._warm_piece(wish, wish.stable):
                    outcome = FlushOutcome.WARMED
        except Shed as shed:
            if wish.withdrawn:
                return FlushOutcome.DEFERRED, ShedReason.UNSPECIFIED
            return FlushOutcome.SHED, shed.reason
        return outcome, ShedReason.UNSPECIFIED

    async def _warm_piece(self, wish: Wish, stable: TokenIds) -> bool:
        """Have one piece computed; return whether there was one. Raises Shed, EngineDied."""
        place = self._owner.route.now
        view = self._owner.view(place)
        lacked = view.lacking(stable, self._clock())
        due = Due(self._clock if wish.urgent else self._enter_at, view.goal(stable) - lacked, lacked)
        computed_tokens = await self._prefiller.run(wish.turn, place, wish.planning, due=due)
        if computed_tokens is None:
            return False
        wish.computed_tokens += computed_tokens
        lacking = view.lacking(stable, self._clock())
        if lacking and lacking >= lacked:  # evicted as fast as it is computed: there is no room for all
            wish.crowded = True
            raise Shed(ShedReason.LOAD)
        return True

    def _lacking(self, stable: TokenIds) -> int:
        return self._owner.view(self._owner.route.now).lacking(stable, self._clock())

    def _check_waste(self, wish: Wish, stable: TokenIds) -> None:
        wants = not wish.withdrawn and self._lacking(stable)
        if wants and self._owner.share.quota_seconds:
            raise Shed(ShedReason.QUOTA)
        if wants and not self._owner.backend.waste_limiter.allows(*self._owner.accounts):
            raise Shed(ShedReason.PAYBACK)

    async def _touch(self, turn: Turn) -> None:
        with suppress(Shed):
            await self._prefiller.run(turn, self._owner.route.now, refresh_prefill, keeps=True)
        self._prefiller.used_at = self._clock()

    async def _tell(self, wish: Wish, outcome: FlushOutcome, reason: ShedReason = ShedReason.UNSPECIFIED) -> None:
        """Answer the FLUSH of a wish, once."""
        if wish.seq is None or wish.answered:
            return
        wish.answered = True
        result = FlushResult(
            wish.seq, len(wish.confirmed), outcome, computed_tokens=wish.computed_tokens, shed_reason=reason
        )
        if wish.stable is not None:
            stable_tokens, confirmed = len(wish.stable), len(wish.confirmed)
            cached_tokens = self._owner.view(self._owner.route.now).frontier(wish.stable, self._clock())
            covered = wish.turn.prompts.covered(confirmed, stable_tokens - cached_tokens)
            result = replace(
                result, stable_tokens=stable_tokens, cached_tokens=cached_tokens, cached_code_points=covered
            )
        async with self._answering:
            await self._answer(result)
