"""Admission of speculative work to an engine: room, order, pressure."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from forefill_service.cache.prefill import Prefill, Room, Wait
from forefill_service.chat.token_ids import TokenIds
from forefill_service.engine import EngineLoad, FakeEngine, Priority
from forefill_service.scheduling.admission import Admission, Permit, Shed
from forefill_service.scheduling.deadlines import Due
from forefill_service.scheduling.in_flight import STEPS_TO_WAIT, Limits
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


async def test_on_an_idle_engine_a_piece_fits_the_idle_budget() -> None:
    async with gateway() as gate:
        await gate.asks("a")
        assert gate.tokens("a") == pytest.approx(200, abs=BLOCK)


@pytest.mark.parametrize("others", [1, None])
async def test_others_answers_count_as_ours_and_where_nobody_tells_they_are_taken_to_run(others: int | None) -> None:
    async with gateway() as gate:
        gate.engine.load = EngineLoad(others=others)
        for session in ("a", "b", "c", "d"):
            await gate.asks(session)
        assert sum(map(gate.tokens, gate.granted)) == pytest.approx(50, abs=BLOCK)


async def test_where_nobody_tells_of_others_a_slow_engine_goes_on_all_the_same() -> None:
    async with gateway(busy_seconds=BLOCK * SECONDS_A_TOKEN / 2) as gate:
        gate.engine.load = EngineLoad(others=None)
        await gate.asks("a")
        assert gate.tokens("a") == BLOCK
        gate.engine.load = EngineLoad(others=1)
        await gate.asks("b")
        assert gate.granted == ["a"]


async def test_beside_an_answer_a_piece_fits_the_budget_for_its_gaps() -> None:
    async with gateway() as gate:
        with gate.admission.generation() as first_token:
            first_token()
            await gate.asks("a")
            assert gate.tokens("a") == pytest.approx(50, abs=BLOCK)


async def test_pieces_in_flight_share_the_budget() -> None:
    async with gateway() as gate:
        await gate.asks("a", 150)
        await gate.asks("b")
        assert gate.tokens("b") == pytest.approx(50, abs=BLOCK)
        await gate.asks("c")
        assert gate.granted == ["a", "b"]
        await gate.leaves("a")
        assert "c" in gate.granted


async def test_their_number_is_bounded_too() -> None:
    async with gateway(in_flight=2) as gate:
        for session in "abc":
            await gate.asks(session, BLOCK)
        assert gate.granted == ["a", "b"]
        await gate.leaves("a")
        assert gate.granted == ["b", "c"]


async def test_nothing_starts_while_a_generation_waits_for_its_first_token() -> None:
    async with gateway() as gate:
        with gate.admission.generation() as first_token:
            await gate.asks("a")
            assert gate.granted == []
            first_token()
            await settle()
            assert gate.granted == ["a"]


async def test_a_generation_that_fails_before_its_first_token_holds_nothing_up() -> None:
    async with gateway() as gate:
        generation = gate.admission.generation()
        generation.__enter__()
        await gate.asks("a")
        assert gate.granted == []
        generation.__exit__(None, None, None)
        await settle()
        assert gate.granted == ["a"]


async def test_where_not_even_a_block_fits_beside_an_answer_it_waits_until_none_runs() -> None:
    async with gateway(busy_seconds=0.005) as gate:
        with gate.admission.generation() as first_token:
            first_token()
            await gate.asks("a")
            assert gate.granted == []
        await settle()
        assert gate.granted == ["a"]


async def test_on_an_engine_too_slow_for_the_idle_budget_one_block_at_a_time_goes_on() -> None:
    async with gateway(idle_seconds=0.001) as gate:
        await gate.asks("a")
        await gate.asks("b")
        assert gate.granted == ["a"]
        assert gate.tokens("a") == BLOCK


async def test_pregenerations_come_before_warms() -> None:
    async with gateway(in_flight=1) as gate:
        await gate.asks("first")
        await gate.asks("warm")
        await gate.asks("pregeneration", BLOCK, priority=Priority.PREGENERATION)
        await gate.leaves("first")
        assert gate.granted == ["pregeneration"]


async def test_a_pregeneration_keeps_its_place_after_its_prompt_is_computed() -> None:
    async with gateway(pregenerations=1) as gate:
        await gate.asks("a", BLOCK, priority=Priority.PREGENERATION)
        gate.admission.prefilled(gate.turns["a"], 0)
        await gate.asks("warm", BLOCK)
        await gate.asks("b", BLOCK, priority=Priority.PREGENERATION)
        assert gate.granted == ["a", "warm"]
        await gate.leaves("a")
        assert "b" in gate.granted


async def test_the_session_that_was_given_least_comes_first() -> None:
    async with gateway(in_flight=1) as gate:
        await gate.asks("greedy")
        await gate.leaves("greedy")
        await gate.asks("busy")
        await gate.asks("greedy")
        await gate.asks("new")
        await gate.leaves("busy")
        assert gate.granted == ["new"]


async def test_a_tenant_with_many_sessions_does_not_crowd_out_one_with_few() -> None:
    async with gateway(in_flight=1) as gate:
        await gate.asks("many 0", tenant="many")
        for number in range(1, 6):
            await gate.asks(f"many {number}", tenant="many")
        await gate.asks("only", tenant="few")
        await gate.leaves("many 0")
        assert gate.granted == ["only"]


async def test_under_pressure_warms_are_shed_and_pregenerations_are_not() -> None:
    async with gateway() as gate:
        gate.engine.load = EngineLoad(waiting=4)
        await gate.asks("warm")
        await gate.asks("pregeneration", BLOCK, priority=Priority.PREGENERATION)
        assert gate.shed == {"warm": ShedReason.LOAD}
        assert gate.granted == ["pregeneration"]


async def test_under_more_of_it_pregenerations_must_make_way() -> None:
    async with gateway() as gate:
        await gate.asks("running", BLOCK, priority=Priority.PREGENERATION)
        assert not gate.turns["running"].revoked.is_set()
        gate.engine.load = EngineLoad(preemptions=1)
        await gate.passes(0.1)
        assert gate.turns["running"].revoked.is_set()
        await gate.asks("new", BLOCK, priority=Priority.PREGENERATION)
        assert gate.shed == {"new": ShedReason.LOAD}


async def test_who_waits_too_long_is_shed() -> None:
    async with gateway(wait_seconds=5) as gate:
        with gate.admission.generation():
            await gate.asks("a")
            await gate.passes(5.0)
            assert gate.shed == {}
            await gate.passes(0.1)
            assert gate.shed == {"a": ShedReason.LOAD}


async def test_who_no_longer_wants_anything_does_not_wait() -> None:
    async with gateway() as gate:
        with gate.admission.generation():
            await gate.asks("a")
            gate.admission.withdraw(Priority.WARM, "a")
            await settle()
            assert gate.turns["a"].prefill is None


async def test_who_has_nothing_left_to_do_when_the_turn_comes_holds_nothing() -> None:
    async with gateway(in_flight=1) as gate:
        await gate.asks_with("a", lambda room, now: None)
        assert gate.turns["a"].prefill is None
        await gate.asks("b")
        assert gate.granted == ["a", "b"]


async def test_who_waits_for_what_another_computes_is_asked_again_when_that_is_done() -> None:
    async with gateway() as gate:
        answers: list[Wait | None] = [Wait.COMPUTED_BY_ANOTHER, None]
        await gate.asks("a", 150)
        await gate.asks_with("b", lambda room, now: answers.pop(0))
        assert gate.granted == ["a"]
        await gate.leaves("a")
        assert gate.granted == ["b"]


async def test_who_gives_up_leaves_no_trace() -> None:
    async with gateway(in_flight=1) as gate:
        await gate.asks("a")
        await gate.asks("b")
        await gate.gives_up("b")
        await gate.gives_up("a")
        await gate.asks("c")
        assert gate.granted == ["c"]


async def test_times_are_learnt_from_warms_that_had_the_engine_to_themselves() -> None:
    async with gateway() as gate:
        slow = 20 * SECONDS_A_TOKEN * 200
        before, seconds = gate.admission.times.coefficients, gate.expected_seconds(200)
        await gate.asks("a", 200)
        with gate.admission.generation():
            gate.now += slow
        gate.admission.prefilled(gate.turns["a"], 0)
        assert gate.admission.times.coefficients == before, "beside an answer"
        await gate.leaves("a")
        await gate.asks("b", 200)
        gate.now += slow
        gate.admission.prefilled(gate.turns["b"], 0)
        assert gate.expected_seconds(200) > seconds


# --- deadlines


def due_in(gate: Gateway, seconds: float, lacking: int = 1000) -> Due:
    enter_at = gate.now + seconds
    return Due(lambda: enter_at, 0, lacking)


async def test_beside_an_answer_a_piece_is_as_small_as_its_deadline_allows() -> None:
    async with gateway() as gate:
        with_steps(gate)
        with gate.admission.generation() as token:
            token()
            await gate.asks("far", due=due_in(gate, 1000))
            assert gate.tokens("far") == BLOCK
            await gate.leaves("far")
            await gate.asks("nearer", due=due_in(gate, 8))
            assert BLOCK < gate.tokens("nearer") < 50
            await gate.leaves("nearer")
            await gate.asks("near", due=due_in(gate, 1))
            assert gate.tokens("near") == pytest.approx(50, abs=BLOCK), "the budget bounds it"


async def test_others_that_wait_make_a_piece_larger() -> None:
    async with gateway(in_flight=1) as gate:
        with_steps(gate)
        with gate.admission.generation() as token:
            token()
            await gate.asks("first", BLOCK, due=due_in(gate, 30, lacking=BLOCK))
            for session in "abcd":
                await gate.asks(session, due=due_in(gate, 12))
            await gate.leaves("first")
            assert gate.granted == ["a"]
            assert gate.tokens("a") > BLOCK


async def test_what_a_session_lacks_after_its_piece_counts_too() -> None:
    async with gateway() as gate:
        with_steps(gate)
        with gate.admission.generation() as token:
            token()
            await gate.asks("urgent", due=due_in(gate, 4))
            gate.now += 2 * STEP_SECONDS
            token()
            await gate.asks("far", due=due_in(gate, 1000))
            assert gate.tokens("far") > BLOCK


async def test_an_idle_engine_on_which_nobody_else_waits_is_used_up_to_the_budget() -> None:
    async with gateway() as gate:
        with_steps(gate)
        await gate.asks("alone", due=due_in(gate, 1000))
        assert gate.tokens("alone") == pytest.approx(200, abs=BLOCK)


async def test_on_an_idle_engine_on_which_others_wait_pieces_are_small() -> None:
    async with gateway(in_flight=1) as gate:
        with_steps(gate)
        await gate.asks("first", BLOCK, due=due_in(gate, 1000, lacking=BLOCK))
        await gate.asks("a", due=due_in(gate, 1000))
        await gate.asks("b", due=due_in(gate, 1000))
        await gate.leaves("first")
        assert gate.tokens("a") == BLOCK


async def test_the_earliest_deadline_comes_first_however_much_its_session_was_given() -> None:
    async with gateway(in_flight=1) as gate:
        await gate.asks("near")
        await gate.leaves("near")
        await gate.asks("busy", BLOCK)
        await gate.asks("far", due=due_in(gate, 20))
        await gate.asks("near", due=due_in(gate, 10))
        await gate.leaves("busy")
        assert gate.granted == ["near"]


async def test_a_deadline_that_has_moved_meanwhile_counts_as_it_is_now() -> None:
    async with gateway(in_flight=1) as gate:
        enter_at = {"a": 10.0, "b": 20.0}
        await gate.asks("busy", BLOCK)
        for session in enter_at:
            await gate.asks(session, due=Due(lambda session=session: enter_at[session], 0, 100))  # type: ignore[misc]
        enter_at["a"] = 30.0
        await gate.leaves("busy")
        assert gate.granted == ["b"]


async def test_who_lacks_too_much_to_be_in_time_gives_way_to_who_can_be() -> None:
    async with gateway(in_flight=1) as gate:
        await gate.asks("busy", BLOCK)
        await gate.asks("huge", due=due_in(gate, 1, lacking=100_000))
        await gate.asks("small", due=due_in(gate, 5, lacking=100))
        await gate.leaves("busy")
        assert gate.granted == ["small"]


async def test_a_tenant_that_was_given_much_less_comes_before_an_earlier_deadline() -> None:
    async with gateway(in_flight=1) as gate:
        await gate.asks("many 0", tenant="many")
        await gate.asks("many 1", tenant="many", due=due_in(gate, 1))
        await gate.asks("only", tenant="few", due=due_in(gate, 20))
        await gate.leaves("many 0")
        assert gate.granted == ["only"]


async def test_among_tenants_that_were_given_about_as_much_the_deadline_decides() -> None:
    async with gateway(in_flight=1) as gate:
        for tenant, tokens in (("one", 130), ("other", 200)):
            await gate.asks(tenant, tokens, tenant=tenant)
            await gate.leaves(tenant)
        await gate.asks("busy", BLOCK)
        await gate.asks("far", tenant="one", due=due_in(gate, 20))
        await gate.asks("near", tenant="other", due=due_in(gate, 10))
        await gate.leaves("busy")
        assert gate.granted == ["near"]


async def test_a_pregeneration_is_not_made_smaller() -> None:
    async with gateway() as gate:
        with_steps(gate)
        await gate.asks("far", due=due_in(gate, 1000))
        await gate.leaves("far")
        with gate.admission.generation() as token:
            token()
            await gate.asks("guess", 50, priority=Priority.PREGENERATION)
            assert gate.tokens("guess") == pytest.approx(50, abs=BLOCK)


# --- one piece a step


async def test_beside_an_answer_the_next_piece_follows_when_a_token_shows_that_a_step_has_ended() -> None:
    async with gateway() as gate:
        with_steps(gate)
        with gate.admission.generation() as token:
            token()
            await gate.asks("a", due=due_in(gate, 1000))
            await gate.asks("b", due=due_in(gate, 1000))
            assert gate.granted == ["a"]
            gate.now += STEP_SECONDS
            token()
            await settle()
            assert gate.granted == ["a", "b"], "one runs, one waits for the next step"
            await gate.asks("c", due=due_in(gate, 1000))
            token()
            await settle()
            assert gate.granted == ["a", "b"], "another token of the same step"
            gate.now += 2 * STEP_SECONDS
            gate.admission.prefilled(gate.turns["a"], 0)
            await settle()
            assert "c" in gate.granted


async def test_beside_answers_of_others_it_follows_after_a_step_without_pieces_must_have_ended() -> None:
    async with gateway() as gate:
        with_steps(gate)
        gate.engine.load = EngineLoad(others=1)
        await gate.asks("a", due=due_in(gate, 1000))
        await gate.asks("b", due=due_in(gate, 1000))
        await gate.asks("c", due=due_in(gate, 1000))
        await gate.passes(0.9 * STEPS_TO_WAIT * STEP_SECONDS)
        assert gate.granted == ["a"]
        await gate.passes(0.2 * STEPS_TO_WAIT * STEP_SECONDS)
        assert gate.granted == ["a", "b"]
        await gate.passes(10 * STEP_SECONDS)
        assert gate.granted == ["a", "b"], "the step of a has not ended"


async def test_a_generation_revokes_the_warms_that_wait_for_a_step_and_no_others() -> None:
    async with gateway() as gate:
        with_steps(gate)
        with gate.admission.generation() as token:
            token()
            await gate.asks("runs", due=due_in(gate, 1000))
            gate.now += STEP_SECONDS
            token()
            await gate.asks("waits", due=due_in(gate, 1000))
            await gate.asks("guess", BLOCK, priority=Priority.PREGENERATION)
            with gate.admission.generation():
                assert gate.turns["waits"].revoked.is_set()
                assert not gate.turns["runs"].revoked.is_set()
                assert not gate.turns["guess"].revoked.is_set()


async def test_a_warm_that_has_an_idle_engine_to_itself_runs_at_once() -> None:
    async with gateway() as gate:
        with_steps(gate)
        await gate.asks("a", due=due_in(gate, 1000))
        with gate.admission.generation():
            assert not gate.turns["a"].revoked.is_set()
