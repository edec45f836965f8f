"""An admission with its clock and engine, and sessions that ask it for permits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from forefill_service.cache.prefill import Prefill, Room, Wait
from forefill_service.chat.token_ids import TokenIds
from forefill_service.engine import FakeEngine, Priority
from forefill_service.scheduling.admission import Admission, Permit, Shed
from forefill_service.scheduling.deadlines import Due
from forefill_service.scheduling.in_flight import Limits
from forefill_service.scheduling.prefill_times import PrefillTimes
from forefill_service.scheduling.pressure import PressureGauge
from forefill_service.session.responses import ShedReason

from tests.support.stage import settle

BLOCK = 10
SECONDS_A_TOKEN = 0.001
STEP_SECONDS = 0.02


def known_times() -> PrefillTimes:
    times = PrefillTimes()
    for _ in range(50):
        for new in (BLOCK, 100, 500):
            times.observe(new, 0, new * SECONDS_A_TOKEN)
    return times


def with_steps(gate: "Gateway") -> None:
    """Let each step take `STEP_SECONDS`, besides what its tokens add."""
    coefficients = gate.admission.times.coefficients
    gate.admission.times.coefficients = replace(coefficients, fixed=STEP_SECONDS)


class Gateway:
    """An admission with its clock and engine, and the sessions that ask it for permits."""

    def __init__(self, **limits: Any) -> None:
        self.now = 0.0
        self.engine = FakeEngine(block_size=BLOCK)
        gauge = PressureGauge(waiting_requests=4, cache_usage=0.9, after_preemption_seconds=5)
        self.admission = Admission(
            self.engine,
            Limits(**{"busy_seconds": 0.05, "idle_seconds": 0.2, **limits}),
            known_times(),
            gauge,
            lambda: self.now,
        )
        self.turns: dict[str, Permit] = {}
        self.shed: dict[str, ShedReason] = {}
        self._leave: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def asks(self, session: str, tokens: int = 1000, *, cached: int = 0, **request: Any) -> None:
        """Let a session ask for a permit to compute tokens, as far as there is room."""

        def plan(room: Room, now: float) -> Prefill | Wait | None:
            new = min(tokens, room(cached)) // BLOCK * BLOCK
            return Prefill(TokenIds((), (1,) * (cached + new)), cached) if new else Wait.NO_ROOM

        await self.asks_with(session, plan, **request)

    async def asks_with(
        self,
        session: str,
        plan: Callable[[Room, float], Any],
        *,
        tenant: str = "",
        priority: Priority = Priority.WARM,
        due: Due | None = None,
    ) -> None:
        leave = self._leave[session] = asyncio.Event()

        async def ask() -> None:
            try:
                async with self.admission.permit(priority, tenant, session, plan, due) as turn:
                    self.turns[session] = turn
                    await leave.wait()
            except Shed as shed:
                self.shed[session] = shed.reason
            finally:
                self.turns.pop(session, None)

        self._tasks[session] = asyncio.create_task(ask())
        await settle()

    async def leaves(self, session: str) -> None:
        self._leave[session].set()
        await settle()

    async def gives_up(self, session: str) -> None:
        self._tasks[session].cancel()
        await settle()

    async def passes(self, seconds: float) -> None:
        self.now += seconds
        self.admission.dispatch()
        await settle()

    def expected_seconds(self, tokens: int) -> float:
        times = self.admission.times
        return times.coefficients.fixed + times.added_seconds(tokens, 0)

    @property
    def granted(self) -> list[str]:
        return list(self.turns)

    def tokens(self, session: str) -> int:
        prefill = self.turns[session].prefill
        assert prefill is not None
        return prefill.new_tokens


@asynccontextmanager
async def gateway(**limits: Any) -> AsyncIterator[Gateway]:
    gate = Gateway(**limits)
    try:
        yield gate
    finally:
        for task in gate._tasks.values():
            task.cancel()
        await asyncio.gather(*gate._tasks.values(), return_exceptions=True)
        assert gate.admission.waiting == 0
        assert gate.admission.speculative == 0
