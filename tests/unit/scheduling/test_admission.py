"""Admission of speculative work to an engine: room, order, pressure."""

import pytest
from forefill_service.cache.prefill import Wait
from forefill_service.engine import EngineLoad, Priority
from forefill_service.session.responses import ShedReason

from tests.support.gateway import BLOCK, SECONDS_A_TOKEN, STEP_SECONDS, gateway, with_steps
from tests.support.stage import settle


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


async def test_beside_an_answer_a_block_that_does_not_fit_goes_on_and_steps_without_one_make_up_for_it() -> None:
    async with gateway(busy_seconds=0.005) as gate:
        with_steps(gate)
        with gate.admission.generation() as first_token:
            first_token()
            await gate.asks("a")
            assert gate.tokens("a") == BLOCK  # it adds 10 ms, twice the budget
            await gate.asks("b")
            await gate.leaves("a")
            await gate.passes(BLOCK * SECONDS_A_TOKEN + 1.9 * STEP_SECONDS)
            assert gate.granted == []
            await gate.passes(0.2 * STEP_SECONDS)
            assert gate.granted == ["b"]


async def test_a_piece_that_began_before_the_answer_needs_no_making_up() -> None:
    async with gateway(busy_seconds=0.01) as gate:
        await gate.asks("a", 100)
        with gate.admission.generation() as token:
            token()
            await gate.leaves("a")
            await gate.asks("b")
            assert gate.granted == ["b"]


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
