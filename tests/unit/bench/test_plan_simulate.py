"""The service's own code at virtual time: what it gives is what its rules and the engine's figures say."""

import pytest
from forefill_bench.capacity.estimate import estimate
from forefill_bench.sim.outcome import SimulatedOutcome
from forefill_bench.sim.scenario import SIMULATED_ARMS, ReplicaSpec, Use
from forefill_bench.sim.simulate import busy_gap_ms, simulate

REPLICA = ReplicaSpec()
USE = Use(context_tokens=400, cycle_seconds=20, words_per_minute=80, answer_tokens=8)


def outcome(
    arm: str = "typed", typists: int = 1, replica: ReplicaSpec = REPLICA, use: Use = USE, submits: int = 12
) -> SimulatedOutcome:
    return simulate(replica, use, use.window(typists, submits, seed=1), arm)


@pytest.mark.parametrize("arm", SIMULATED_ARMS)
def test_one_typist_waits_as_long_as_estimated(arm: str) -> None:
    told, expected = outcome(arm), estimate(REPLICA, USE, busy_gap_ms())
    assert told.failures == 0
    assert told.ttft(0.5) == pytest.approx(expected.ttft_ms[arm], rel=0.2)
    assert told.hit_share == pytest.approx(expected.hit_share[arm], abs=0.03)


def test_one_typist_has_as_many_tokens_warmed_as_estimated() -> None:
    told, expected = outcome(), estimate(REPLICA, USE, busy_gap_ms())
    assert told.warm_tokens_per_second == pytest.approx(expected.warm_tokens_per_second, rel=0.1)
    assert outcome("cold").warm_tokens == 0


def test_answers_are_begun_before_enter_by_the_default_rules_and_cost_the_engine_time() -> None:
    typed, pregen = outcome(submits=24), outcome("pregen", submits=24)
    assert (typed.adopted, pregen.failures, len(pregen.ttft_ms)) == (0, 0, 24)
    assert 0 < pregen.adopted <= 24
    assert min(pregen.ttft_ms) < min(typed.ttft_ms)
    assert pregen.busy_share > typed.busy_share


def test_who_finds_the_whole_prompt_cached_computes_no_more_than_a_block_of_it() -> None:
    told = outcome("oracle")
    uncached = (told.prompt_tokens - told.cached_tokens) / len(told.ttft_ms)
    assert told.warm_tokens == 0
    assert 0 < uncached <= REPLICA.block_size
    assert told.ttft(0.5) < outcome().ttft(0.5) < outcome("static").ttft(0.5)


def test_a_seed_repeats_a_simulation() -> None:
    assert outcome(typists=3) == outcome(typists=3)


def test_every_typist_submits_as_often_as_is_counted() -> None:
    told = outcome(typists=5)
    assert len(told.ttft_ms) == 15
    assert told.seconds == 3 * USE.cycle_seconds


def test_typists_who_fill_the_engine_wait_longer() -> None:
    waits = [outcome(typists=typists, submits=30).ttft(0.95) for typists in (1, 8, 60)]
    assert waits == sorted(waits)
    assert waits[-1] > 3 * waits[0]


def test_the_engine_works_as_much_as_typists_ask_for() -> None:
    one, four = outcome(typists=1, submits=16), outcome(typists=4, submits=16)
    assert four.busy_share == pytest.approx(4 * one.busy_share, rel=0.25)
    assert 0 < one.warm_share < one.busy_share < 1


def test_a_shared_context_is_computed_once() -> None:
    shared = Use(context_tokens=400, shared_tokens=380, cycle_seconds=20, words_per_minute=80, answer_tokens=8)
    assert outcome("cold", use=shared).hit_share > 0.7
    assert outcome("cold").hit_share == 0
    assert outcome(use=shared).warm_tokens_per_second < 0.3 * outcome().warm_tokens_per_second


def test_a_cache_that_is_too_small_for_all_loses_what_was_warmed() -> None:
    small = ReplicaSpec(cache_tokens=1024)
    assert outcome(typists=6, replica=small).hit_share < outcome(typists=6).hit_share


def test_plain_generations_beside_typists_are_counted_and_disturb() -> None:
    beside = Use(
        context_tokens=400,
        cycle_seconds=20,
        words_per_minute=80,
        answer_tokens=8,
        background_rate=2,
        background_tokens=4,
    )
    told = outcome(typists=4, use=beside)
    assert len(told.neighbours_gaps_ms) == 3 * len(told.neighbours_ttft_ms) > 0
    assert told.busy_share > outcome(typists=4).busy_share
    assert not outcome(typists=4).neighbours_ttft_ms


def test_progress_is_told_and_may_stop_it() -> None:
    class Enough(Exception):
        pass

    seen: list[float] = []

    def progress(seconds: float) -> None:
        seen.append(seconds)
        if seconds > 5:
            raise Enough

    with pytest.raises(Enough):
        simulate(REPLICA, USE, USE.window(1, 12, seed=1), "typed", progress)
    assert seen[:6] == pytest.approx([0, 1, 2, 3, 4, 5])
    assert len(seen) <= 7
