"""Has prompts computed for one session, one at a time: waits for a permit, sends what is planned then, books it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..cache.prefill import Prefill, Room, Wait
from ..cache.view import CacheView
from ..chat.token_ids import TokenIds
from ..engine import Priority, warm
from ..errors import EngineBusy, EngineDied, EngineRefused, EngineSlow, EngineUnavailable, trace_without_message
from ..fleet.metrics import WarmOutcome
from ..fleet.replicas import Place
from ..scheduling.admission import Permit, Shed
from ..scheduling.deadlines import Due
from ..session.responses import ShedReason
from .owner import Owner
from .tasks import cancel_once, cancelled
from .turn import Turn

log = logging.getLogger(__name__)

HANGS_AFTER_TIMEOUTS = 2

_OUTCOMES: dict[type[BaseException], WarmOutcome] = {
    EngineBusy: "no_room",
    EngineSlow: "slow",
    EngineUnavailable: "lost",
    EngineRefused: "refused",
}
"""What a failed warm counts as: the first that its error is one of."""

Planning = Callable[[CacheView, Room, float], Prefill | Wait | None]
"""Says what to send now, by what this view believes, in this room; None: there is nothing left to do."""


@dataclass(eq=False, slots=True)
class Piece:
    """One prefill on its way: it keeps the turn, the place and the view that it is planned for."""

    turn: Turn
    place: Place
    view: CacheView
    planning: Planning
    keeps: bool
    in_flight: Prefill | None = None
    task: asyncio.Task[int] | None = None

    def plan(self, room: Room, now: float) -> Prefill | Wait | None:
        """Plan it, now that it may be sent, and count its blocks in flight."""
        planned = self.planning(self.view, room, now)
        if isinstance(planned, Prefill):
            self.in_flight = planned
            self.view.begin(planned)
        return planned

    def computed(self, prefill: Prefill, found_tokens: int | None, now: float) -> int:
        """Book that it is computed; return how many tokens the engine computed for it."""
        found = prefill.frontier if found_tokens is None else found_tokens
        self.in_flight = None
        self.view.computed(prefill, found, now)
        if self.keeps:
            return self.turn.ledger.kept(len(prefill.prefix) - found)
        return self.turn.ledger.warmed(prefill.prefix, found, self.place)

    def aborted(self, prefill: Prefill) -> None:
        """Book that it was aborted: how far it came is unknown, so all that it was to compute counts."""
        self.give_up()
        self.turn.ledger.warmed(prefill.prefix, prefill.frontier, self.place)

    def revoked(self) -> None:
        """Book that it was aborted while it waited in the engine: nothing is computed."""
        self.give_up()
        self.turn.ledger.failed(0)

    def failed(self, prefill: Prefill) -> None:
        """Book that it failed."""
        self.give_up()
        self.turn.ledger.failed(prefill.new_tokens)

    def give_up(self) -> None:
        """Count its blocks as in flight no longer."""
        if self.in_flight is not None:
            self.view.failed(self.in_flight)
            self.in_flight = None


class Prefiller:
    """The prefills of one session. `used_at` is when the session last used what it holds, by the backend's clock."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._clock = owner.backend.clock
        self._piece: Piece | None = None
        self._timeouts = 0
        self.used_at = self._clock()

    @property
    def in_flight(self) -> bool:
        """Whether a prefill of this session is in the engine, or about to be."""
        return self._piece is not None and self._piece.in_flight is not None

    def withdraw(self) -> None:
        """Wait for no permit any more: nothing is wanted of the piece that waits for one."""
        if (piece := self._piece) is not None:
            piece.place.replica.admission.withdraw(Priority.WARM, self._owner.key)

    def make_way(self, prompt: TokenIds, *, whole: bool = True) -> None:
        """Drop what is in flight if it is no prefix of this prompt, which is about to be generated on.

        A prefix of it goes on: to wait for it, or to abort it first, is slower (measured). If the prompt is not the
        `whole` one, only what contradicts it is dropped.
        """
        piece = self._piece
        if piece is None or piece.in_flight is None:
            return
        prefix = piece.in_flight.prefix
        contradicts = prefix.common(prompt) < min(len(prefix), len(prompt))
        if contradicts or (whole and not piece.in_flight.leads(prompt)):
            self._abort(piece)

    async def stop(self) -> None:
        """Abort what is in flight, and what is begun when that has ended; all of it is booked when this returns."""
        while (piece := self._piece) is not None and piece.task is not None and not piece.task.done():
            self._abort(piece)
            await asyncio.wait({piece.task})

    async def run(
        self, turn: Turn, place: Place, planning: Planning, *, due: Due | None = None, keeps: bool = False
    ) -> int | None:
        """Wait for a permit and have what is planned then computed; return its computed tokens, None for nothing to do.

        `due` says when it is wanted, and all that is lacking then; without it others come first. If it `keeps`, it only
        uses what is cached once more. None is returned, too, if it made way for a generation before it ran, or if the
        turn is over when the permit comes: nobody would book it. Raises Shed if the engine is under pressure or did not
        compute it, EngineDied.
        """
        owner = self._owner
        self._piece = piece = Piece(turn, place, owner.view(place), planning, keeps)
        admission = place.replica.admission
        try:
            async with admission.permit(Priority.WARM, owner.tenant, owner.key, piece.plan, due) as permit:
                if permit.prefill is None or turn.ledger.closed:
                    return None
                return await self._ended(piece, permit, permit.prefill)
        finally:
            piece.give_up()  # if it was planned and never sent
            self._piece = None

    async def _ended(self, piece: Piece, permit: Permit, prefill: Prefill) -> int | None:
        piece.task = task = asyncio.create_task(self._compute(piece, permit, prefill))
        revoked = asyncio.create_task(permit.revoked.wait())
        try:
            await asyncio.wait({task, revoked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            revoked.cancel()
            await cancelled(task)
        if task.cancelled() and permit.revoked.is_set():
            return None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, EngineDied):
            raise error
        self._timeouts = self._timeouts + 1 if isinstance(error, EngineSlow) else 0
        hangs = not isinstance(error, EngineSlow) or self._timeouts >= HANGS_AFTER_TIMEOUTS
        if isinstance(error, EngineUnavailable) and hangs:  # one alone that is slow has much to do
            self._owner.route.leave(piece.place, error)
        if task.cancelled() or error is not None:
            raise Shed(ShedReason.LOAD if isinstance(error, EngineBusy) else ShedReason.FAILED)
        return task.result()

    async def _compute(self, piece: Piece, permit: Permit, prefill: Prefill) -> int:
        place, ids, owner = piece.place, prefill.prefix.to_list(), self._owner
        metrics, request_id = owner.backend.metrics, owner.stream.request_id()
        try:
            found_tokens = await warm(
                place.replica.engine, ids, owner.cache_salt, place.route, owner.adapter, request_id
            )
        except asyncio.CancelledError:
            if permit.revoked.is_set():  # it still waited for a step
                metrics.warmed("made_way")
                piece.revoked()
            else:
                metrics.warmed("aborted")
                piece.aborted(prefill)
            raise
        except Exception as error:  # its message may be in the engine's words, and those in the user's
            log.debug("a warm failed\n%s", trace_without_message(error))
            metrics.warmed(_outcome_of(error))
            piece.failed(prefill)
            raise
        metrics.warmed("computed")
        place.replica.admission.prefilled(permit, found_tokens)
        self.used_at = self._clock()
        return piece.computed(prefill, found_tokens, self.used_at)

    def _abort(self, piece: Piece) -> None:
        if piece.task is not None:
            cancel_once(piece.task)


def _outcome_of(error: Exception) -> WarmOutcome:
    return next((outcome for kind, outcome in _OUTCOMES.items() if isinstance(error, kind)), "failed")
