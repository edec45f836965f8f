"""Admission by deadline: pieces as small as the deadlines allow, the earliest first, one a step."""

import pytest
from forefill_service.engine import EngineLoad, Priority
from forefill_service.scheduling.deadlines import Due
from forefill_service.scheduling.in_flight import STEPS_TO_WAIT

from tests.support.gateway import BLOCK, STEP_SECONDS, Gateway, gateway, with_steps
from tests.support.stage import settle

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
