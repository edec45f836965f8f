"""Warms for one session: renders what a FLUSH confirmed, waits for its turn, sends what is planned, answers the FLUSH.

One task does it all in turn, so a session never has two warms in flight, and a FLUSH that comes meanwhile only replaces
what is warmed next: the latest wins. Whatever fails here costs speed alone; nothing is raised but the engine's death.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from ..cache.planner import Planner, Prefill
from ..chat.prompt import TurnPrompt
from ..chat.token_ids import TokenIds
from ..engine import Priority, warm
from ..errors import EngineBusy, EngineDied, EngineError, EngineSlow, EngineUnavailable, Refusal
from ..fleet.backend import Backend
from ..fleet.replicas import Place, Route
from ..scheduling.admission import Permit, Plan, Shed
from ..session.ledger import Balance, Ledger
from ..session.machine import Confirm
from ..session.responses import FlushOutcome, FlushResult, ShedReason

log = logging.getLogger(__name__)

HANGS_AFTER_TIMEOUTS = 2


@dataclass(frozen=True, slots=True)
class Owner:
    """For whom a session warms; the names count for fairness and the waste limiter."""

    session: str
    tenant: str
    cache_salt: str | None
    route: Route

    @property
    def accounts(self) -> tuple[str, str]:
        """The accounts that its warms are booked to."""
        return f"session {self.session}", f"tenant {self.tenant}"


class Warmer:
    """The warms of one session.

    `answer` sends a FlushResult. Where `off_reason` says why, nothing is ever warmed.
    """

    def __init__(
        self,
        backend: Backend,
        owner: Owner,
        answer: Callable[[FlushResult], Awaitable[None]],
        *,
        off_reason: str = "",
    ) -> None:
        self._backend = backend
        self._clock = backend.clock
        self._owner = owner
        self._place = owner.route.now
        self.planner = Planner(
            block_size=backend.info.block_size,
            context_tokens=backend.info.context_tokens,
            blocks=self._place.replica.blocks,
            cache_salt=owner.cache_salt,
        )
        self.locate()
        self._answer = answer
        self._off_reason = off_reason
        self.ledger = Ledger()
        self._prompt: Awaitable[TurnPrompt]  # set by `begin_turn`
        self._next: Confirm | None = None
        self._current: Confirm | None = None
        self._in_flight: asyncio.Task[int] | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._active_at = self._used_at = self._clock()
        self._touch_due = False
        self._timeouts = 0

    @property
    def inert_reason(self) -> str:
        """Why nothing is warmed where requests go now; "" where it is. A FLUSH is answered with that."""
        return self._off_reason or self._owner.route.now.replica.inert_reason

    def begin_turn(self, prompt: Awaitable[TurnPrompt]) -> None:
        """Take the prompts of a new turn; they may still be in the making."""
        self._prompt = prompt

    def locate(self) -> Place:
        """Return where requests go now, and plan for what is cached there."""
        place = self._owner.route.now
        self.planner.move(place.replica.blocks, place.cache_partition)
        return place

    async def confirm(self, confirm: Confirm) -> None:
        """Warm what is confirmed now instead of what was to be warmed before; `seq` 0 is answered to nobody."""
        if self.inert_reason:
            await self._tell(confirm, FlushOutcome.INERT)
            return
        await self.stop_wanting()
        self._next = confirm
        self._active_at = self._clock()
        self._wake.set()

    async def stop_wanting(self) -> None:
        """Send nothing more for what is confirmed so far; the warm in flight goes on."""
        waiting, self._next = self._next, None
        working, self._current = self._current, None
        self.planner.drop_wants()
        if working is not None:
            self._place.replica.admission.withdraw(Priority.WARM, self._owner.session)
        if waiting is not None:
            await self._tell(waiting, FlushOutcome.DEFERRED)

    def submit(self, prompt: TokenIds) -> None:
        """Make way for the generation of this prompt: a warm in flight that is no prefix of it is dropped."""
        if self.planner.submit(prompt) and self._in_flight is not None:
            self._in_flight.cancel()

    def believed_tokens(self, prompt: TokenIds, place: Place) -> int:
        """Return how many leading tokens of a prompt are believed cached at a place."""
        self.planner.move(place.replica.blocks, place.cache_partition)
        return self.planner.frontier(prompt, self._clock())

    async def settle(self, place: Place, prompt: TokenIds, cached_tokens: int, output_ids: list[int]) -> Balance:
        """Close the turn's books on its answer; what the generation computed is held there from now on."""
        if self._in_flight is not None:
            self._in_flight.cancel()
            await self._idle.wait()
        self.planner.move(place.replica.blocks, place.cache_partition)
        self._active_at = self._used_at = self._clock()
        self.planner.hold(prompt.extended(output_ids[:-1]), self._used_at)  # the last token was never computed on
        return self._booked(self.ledger.settle(prompt, cached_tokens, place))

    def abandon(self) -> Balance:
        """Close the books of a turn that ends without a whole answer."""
        return self._booked(self.ledger.abandon())

    def touch_if_due(self, now: float) -> None:
        """Use what the session holds once more, if it was silent long enough, and not too long."""
        settings = self._backend.settings
        silent = not self.inert_reason and self._current is None and self._next is None
        due = 0 < settings.warming.touch_seconds <= now - self._used_at
        if silent and due and now - self._active_at < settings.warming.touch_limit_seconds:
            self._touch_due = True
            self._wake.set()

    async def run(self) -> None:
        """Warm until cancelled.

        Raises EngineDied.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._current, self._next = self._next, None
            if (confirm := self._current) is not None:
                await self._warm_for(confirm)
            elif self._touch_due:
                await self._touch()
            self._touch_due = False
            if self._current is confirm:
                self._current = None

    async def _warm_for(self, confirm: Confirm) -> None:
        try:
            stable: TokenIds = await self._backend.render((await self._prompt).stable, confirm.confirmed)
        except Exception as error:  # where it is more than a warm's problem, SUBMIT will say so
            log.debug("nothing to warm: %s", error.reason.name if isinstance(error, Refusal) else type(error).__name__)
            await self._tell(confirm, FlushOutcome.SHED, reason=ShedReason.FAILED)
            return
        computed, outcome, reason = 0, FlushOutcome.NOTHING_NEW, ShedReason.UNSPECIFIED
        try:
            if self._current is confirm:
                self.planner.want(stable)
                self._check_payback(stable)
            lacking = self._lacking_tokens(stable)
            while lacking:
                if self.planner.wanted is None:  # something came first that made it want nothing
                    outcome = FlushOutcome.DEFERRED
                    break
                place, lacked = self._place, lacking
                if (tokens := await self._send(self.planner.next_warm)) is not None:
                    computed, outcome = computed + tokens, FlushOutcome.WARMED
                lacking = self._lacking_tokens(stable)
                if tokens is not None and lacking >= lacked and self._place == place:
                    raise Shed(ShedReason.LOAD)  # evicted as fast as it is computed: there is no room for all
        except Shed as shed:
            outcome, reason = FlushOutcome.SHED, shed.reason
            if self._current is confirm:
                self.planner.drop_wants()
            else:
                outcome, reason = FlushOutcome.DEFERRED, ShedReason.UNSPECIFIED
        await self._tell(confirm, outcome, stable, computed, reason)

    def _lacking_tokens(self, stable: TokenIds) -> int:
        """Return how many tokens of these ids can be warmed and are not believed cached, in whole blocks."""
        return max(0, self.planner.goal(stable) - self.planner.frontier(stable, self._clock()))

    def _check_payback(self, stable: TokenIds) -> None:
        if self._lacking_tokens(stable) and not self._backend.waste_limiter.allows(*self._owner.accounts):
            raise Shed(ShedReason.PAYBACK)

    async def _touch(self) -> None:
        """Use what the session holds once more."""
        with suppress(Shed):
            await self._send(self.planner.touch, kept=True)
        self._used_at = self._clock()

    async def _send(self, plan: Plan, *, kept: bool = False) -> int | None:
        """Wait for a turn and have what is planned then computed; return its computed tokens, None for nothing to do.

        Raises Shed where the engine is under pressure, or refused it.
        """
        owner, self._place = self._owner, self.locate()
        try:
            async with self._place.replica.admission.permit(Priority.WARM, owner.tenant, owner.session, plan) as turn:
                return None if turn.warm is None else await self._compute(self._place, turn, turn.warm, kept)
        finally:
            if self.planner.in_flight is not None:  # we were cancelled before we could send it
                self.planner.failed()

    async def _compute(self, place: Place, turn: Permit, planned: Prefill, kept: bool) -> int:
        began = False

        async def work() -> int:
            nonlocal began
            began = True
            found = await warm(place.replica.engine, planned.prefix.to_list(), self._owner.cache_salt, place.route)
            place.replica.admission.prefilled(turn, found)
            return planned.frontier if found is None else found

        self._in_flight = task = asyncio.create_task(work())
        self._idle.clear()
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            while not task.done():  # though we are cancelled twice: what was computed is booked
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({task})
            computed = self._book(place, planned, task, kept) if began else None
            self._in_flight = None
            self._idle.set()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, EngineDied):
            raise error
        self._timeouts = self._timeouts + 1 if isinstance(error, EngineSlow) else 0
        hangs = not isinstance(error, EngineSlow) or self._timeouts >= HANGS_AFTER_TIMEOUTS
        if isinstance(error, EngineUnavailable) and hangs:  # one alone that is slow has much to do
            self._owner.route.leave(place, error)
        if computed is None:
            raise Shed(ShedReason.LOAD if isinstance(error, EngineBusy) else ShedReason.FAILED)
        return computed

    def _book(self, place: Place, planned: Prefill, task: asyncio.Task[int], kept: bool) -> int | None:
        if task.cancelled():  # nobody knows how far it came: all that it was to compute is booked
            self.planner.failed()
            self.ledger.warmed(planned.prefix, planned.frontier, place)
            return None
        if error := task.exception():
            log.debug("a warm failed: %s", error, exc_info=None if isinstance(error, EngineError) else error)
            self.planner.failed()
            self.ledger.failed(planned.new_tokens)
            return None
        self._used_at = self._clock()
        self.planner.warmed(self._used_at, task.result())
        if kept:
            return self.ledger.kept(len(planned.prefix) - task.result())
        return self.ledger.warmed(planned.prefix, task.result(), place)

    def _booked(self, balance: Balance) -> Balance:
        self._backend.waste_limiter.settled(balance, *self._owner.accounts)
        self._backend.metrics.settled(balance)
        return balance

    async def _tell(
        self,
        confirm: Confirm,
        outcome: FlushOutcome,
        stable: TokenIds | None = None,
        computed: int = 0,
        reason: ShedReason = ShedReason.UNSPECIFIED,
    ) -> None:
        if not confirm.seq:
            return
        tokens = (len(stable), self.planner.frontier(stable, self._clock())) if stable is not None else (0, 0)
        await self._answer(FlushResult(confirm.seq, len(confirm.confirmed), outcome, *tokens, computed, reason))
