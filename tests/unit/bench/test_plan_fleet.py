"""The number of replicas that a fleet needs, by how sessions are assigned to them."""

from math import comb
from random import Random

import pytest
from forefill_bench.capacity.fleet import (
    HASHED,
    OVERFULL_PROBABILITY,
    Hashed,
    Placed,
    Spread,
    evenly_needed,
    is_enough,
    mixed_percentile,
    probability_above,
    replicas_needed,
)


@pytest.mark.parametrize(
    ("carried", "typists", "share"), [(3, 10, 0.1), (9, 10, 0.5), (12, 50, 0.125), (0, 3, 0.01), (9, 1000, 0.01)]
)
def test_the_tail_is_the_binomial_one(carried: int, typists: int, share: float) -> None:
    terms = [comb(typists, n) * share**n * (1 - share) ** (typists - n) for n in range(carried + 1, typists + 1)]
    assert probability_above(carried, typists, share) == pytest.approx(sum(terms))


def test_no_replica_has_more_than_all_and_the_only_one_has_all() -> None:
    assert probability_above(10, 10, 1.0) == 0.0
    assert probability_above(9, 10, 1.0) == 1.0


@pytest.mark.parametrize("spread", [HASHED, Placed(1), Placed(4)])
@pytest.mark.parametrize("typists", [1, 10, 1000, 1_000_000])
@pytest.mark.parametrize("max_typists", [1, 12, 300])
def test_what_is_needed_is_enough_and_one_less_is_not(typists: int, max_typists: int, spread: Spread) -> None:
    replicas = replicas_needed(typists, max_typists, spread)
    assert is_enough(typists, replicas, max_typists, spread)
    assert replicas == 1 or not is_enough(typists, replicas - 1, max_typists, spread)
    assert replicas >= evenly_needed(typists, max_typists)


def test_what_one_replica_carries_needs_one() -> None:
    assert [replicas_needed(typists, 12) for typists in (1, 12)] == [1, 1]
    assert replicas_needed(13, 12) > 1


def test_small_replicas_need_more_room_than_large_ones() -> None:
    spare = [replicas_needed(100_000, carried) / evenly_needed(100_000, carried) for carried in (10, 100, 1000)]
    assert spare == sorted(spare, reverse=True)
    assert spare[0] > 2 > 1.2 > spare[-1] > 1


def test_hashed_fleets_are_overfull_as_seldom_as_is_said() -> None:
    typists, max_typists, rng = 500, 12, Random(1)
    replicas = replicas_needed(typists, max_typists)
    overfull = 0
    for _ in range(400):
        counts = [0] * replicas
        for _ in range(typists):
            counts[rng.randrange(replicas)] += 1
        overfull += max(counts) > max_typists
    assert overfull / 400 <= 1.6 * OVERFULL_PROBABILITY


def test_a_typist_finds_companions_as_often_as_hashing_brings_them() -> None:
    found = dict(HASHED.companions(1000, 100))
    assert sum(found.values()) == pytest.approx(1)
    assert sum(count * probability for count, probability in found.items()) == pytest.approx(1 + 999 / 100)
    assert min(found) == 1


@pytest.mark.parametrize("spread", [Hashed(), Placed(4)])
def test_on_one_replica_all_are_together(spread: Spread) -> None:
    assert list(spread.companions(7, 1)) == [(7, 1.0)]


def test_a_percentile_of_a_fleet_weighs_each_load_by_the_typists_who_have_it() -> None:
    samples = {1: [10.0], 2: [20.0]}
    alone = (1 / 2) ** 1  # two typists on two replicas are together half of the time
    assert alone == 0.5
    assert mixed_percentile(samples, 2, 2, 0.49) == 10.0
    assert mixed_percentile(samples, 2, 2, 0.51) == 20.0


def test_a_load_that_was_not_simulated_is_taken_for_the_next_larger_one() -> None:
    samples = {1: [10.0], 4: [40.0], 8: [80.0]}
    assert mixed_percentile(samples, 3, 1, 0.5) == 40.0
    assert mixed_percentile(samples, 5, 1, 0.5) == 80.0
    assert mixed_percentile(samples, 9, 1, 0.5) == 80.0, "there is none larger"


@pytest.mark.parametrize("carried", [*range(10, 25), 50, 100])
@pytest.mark.parametrize("copies", [1, 2])
def test_placed_fleets_need_little_more_than_evenly_spread_ones(copies: int, carried: int) -> None:
    needed = replicas_needed(1_000_000, carried, Placed(copies))
    assert needed <= 1.25 * evenly_needed(1_000_000, carried)
    assert needed < replicas_needed(1_000_000, carried)


def test_more_copies_that_do_not_know_of_each_other_need_more_replicas() -> None:
    needed = [replicas_needed(1_000_000, 15, Placed(copies)) for copies in (1, 2, 4, 8)]
    assert needed == sorted(needed)
    assert needed[-1] > 1.5 * needed[0]


def test_a_typist_finds_companions_as_often_as_placing_brings_them() -> None:
    found = dict(Placed(4).companions(1_300, 100))
    assert sum(found.values()) == pytest.approx(1)
    assert min(found) >= 1
    replicas_with = {count: probability / count for count, probability in found.items()}
    assert 1 / sum(replicas_with.values()) == pytest.approx(13, rel=1e-3), "typists on a replica"


def test_placed_typists_find_fewer_companions_than_hashed_ones() -> None:
    samples = {count: [float(count)] for count in range(1, 40)}
    placed, hashed = (mixed_percentile(samples, 13_000, 1_000, 0.95, spread) for spread in (Placed(4), HASHED))
    assert placed <= 16 < hashed
