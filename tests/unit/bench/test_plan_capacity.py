"""The search for what one replica carries, and what fleets come to."""

import pytest
from forefill_bench.capacity.capacity import Capacity, plan_fleet
from forefill_bench.capacity.fleet import HASHED, Placed, replicas_needed
from forefill_bench.sim.outcome import SimulatedOutcome
from forefill_bench.sim.scenario import SIMULATED_ARMS


def outcome(arm: str, typists: int, ttft_ms: float) -> SimulatedOutcome:
    return SimulatedOutcome(
        arm=arm,
        typists=typists,
        ttft_ms=(ttft_ms,) * 3,
        failures=0,
        prompt_tokens=100,
        cached_tokens=90,
        seconds=60,
        busy_seconds=30,
        warm_seconds=20,
        warm_tokens=600,
    )


class Replica:
    """Each typist makes all wait longer, by so many milliseconds in each arm."""

    def __init__(self, **ms_a_typist: float) -> None:
        self.asked: list[tuple[str, int]] = []
        self._ms_a_typist = ms_a_typist

    def __call__(self, arm: str, typists: int) -> SimulatedOutcome:
        self.asked.append((arm, typists))
        return outcome(arm, typists, typists * self._ms_a_typist[arm])


@pytest.mark.parametrize(("ms_a_typist", "max_typists"), [(301, 0), (300, 1), (150, 2), (100, 3), (25, 12), (23, 13)])
def test_the_capacity_is_found(ms_a_typist: float, max_typists: int) -> None:
    assert Capacity(Replica(typed=ms_a_typist), 300).max_typists("typed") == max_typists


def test_large_numbers_are_found_to_within_a_twentieth() -> None:
    replica = Replica(typed=0.3)
    assert 950 <= Capacity(replica, 300).max_typists("typed") <= 1000
    assert len(replica.asked) < 18


def test_the_search_ends_where_nothing_is_ever_full() -> None:
    assert Capacity(Replica(typed=0), 300).max_typists("typed") == 4096


def test_nothing_is_simulated_twice() -> None:
    replica = Replica(typed=25)
    capacity = Capacity(replica, 300)
    capacity.max_typists("typed")
    capacity.max_typists("typed")
    assert len(replica.asked) == len(set(replica.asked))
    assert capacity.loads("typed") == sorted(typists for _, typists in replica.asked)


def test_a_submit_without_an_answer_is_a_wait_without_end() -> None:
    def failing(arm: str, typists: int) -> SimulatedOutcome:
        return SimulatedOutcome(
            arm=arm,
            typists=typists,
            ttft_ms=(1.0,),
            failures=1,
            prompt_tokens=1,
            cached_tokens=0,
            seconds=1,
            busy_seconds=0,
            warm_seconds=0,
            warm_tokens=0,
        )

    assert Capacity(failing, 300).max_typists("typed") == 0


def fleet_capacity() -> tuple[Capacity, dict[str, int]]:
    capacity = Capacity(Replica(cold=400, static=10, typed=25), 300)
    max_typists = {arm: capacity.max_typists(arm) for arm in SIMULATED_ARMS}
    for load in capacity.loads("typed"):
        for arm in SIMULATED_ARMS:
            capacity.outcome(arm, load)
    return capacity, max_typists


def test_a_fleet_has_the_replicas_that_forefill_needs_and_all_arms_are_served_on_them() -> None:
    capacity, max_typists = fleet_capacity()
    fleet = plan_fleet(capacity, max_typists, 12, Placed(4))
    assert (fleet.replicas, fleet.evenly) == (1, 1)
    assert fleet.served["typed"].p95_ms == 12 * 25
    assert fleet.served["cold"].p95_ms == 12 * 400


def test_an_arm_that_serves_not_even_one_in_time_needs_no_number_of_replicas() -> None:
    capacity, max_typists = fleet_capacity()
    fleet = plan_fleet(capacity, max_typists, 1000, Placed(4))
    assert fleet.needed["cold"] is None
    assert fleet.needed["typed"] == fleet.replicas > fleet.evenly == 84
    assert fleet.hashed == replicas_needed(1000, 12, HASHED) > fleet.replicas
    static = fleet.needed["static"]
    assert static is not None
    assert static < fleet.replicas


def test_what_an_outcome_says_is_per_second_and_per_share_of_time() -> None:
    told = outcome("typed", 4, 100.0)
    assert (told.hit_share, told.busy_share, told.warm_share) == pytest.approx((0.9, 0.5, 1 / 3))
    assert told.warm_tokens_per_second == 10
