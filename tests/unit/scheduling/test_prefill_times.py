"""Prefill times, learnt from measurements."""

import math

import pytest
from forefill_service.scheduling.prefill_times import PrefillTimes

FIXED, PER_TOKEN, PER_PAIR = 0.02, 0.0006, 0.5e-6
SIZES = [(32, 0), (256, 0), (32, 256), (64, 800), (512, 0), (128, 1184), (32, 1184)]


def true_seconds(new: int, cached: int) -> float:
    return FIXED + PER_TOKEN * new + PER_PAIR * new * (cached + new / 2)


def expected_seconds(times: PrefillTimes, new: int, cached: int) -> float:
    return times.coefficients.fixed + times.added_seconds(new, cached)


def taught(rounds: int = 4, speed: float = 1.0) -> PrefillTimes:
    times = PrefillTimes()
    for new, cached in SIZES * rounds:
        times.observe(new, cached, true_seconds(new, cached) * speed)
    return times


@pytest.mark.parametrize(("new", "cached"), [*SIZES, (96, 600), (1024, 2000)])
def test_it_learns_fixed_cost_tokens_and_attention(new: int, cached: int) -> None:
    assert expected_seconds(taught(), new, cached) == pytest.approx(true_seconds(new, cached), rel=0.05)


@pytest.mark.parametrize("cached", [0, 500, 4000])
def test_what_fits_a_budget_takes_that_long(cached: int) -> None:
    times = taught()
    tokens = times.tokens_within(0.15, cached)
    assert times.added_seconds(round(tokens), cached) == pytest.approx(0.15, rel=0.05)


def test_a_piece_behind_more_context_is_shorter() -> None:
    times = taught()
    assert times.tokens_within(0.1, 4000) < times.tokens_within(0.1, 0)


def test_what_any_step_takes_is_not_counted_as_added() -> None:
    times = taught()
    assert expected_seconds(times, 64, 0) - times.added_seconds(64, 0) == pytest.approx(FIXED, rel=0.05)
    assert times.tokens_within(0.0, 0) == 0


def test_who_knows_nothing_allows_everything() -> None:
    assert PrefillTimes().tokens_within(0.05, 0) == math.inf
    assert expected_seconds(PrefillTimes(), 1000, 0) == 0


def test_an_engine_that_became_slower_is_learnt_anew() -> None:
    times = taught()
    for new, cached in SIZES * 20:
        times.observe(new, cached, 3 * true_seconds(new, cached))
    assert expected_seconds(times, 64, 800) == pytest.approx(3 * true_seconds(64, 800), rel=0.05)


def test_pieces_of_one_size_alone_do_not_spoil_what_is_known_of_others() -> None:
    times = taught()
    for _ in range(500):
        times.observe(32, 1184, true_seconds(32, 1184))
    assert expected_seconds(times, 512, 0) == pytest.approx(true_seconds(512, 0), rel=0.05)


def test_a_warm_that_computed_nothing_teaches_nothing() -> None:
    times = PrefillTimes()
    times.observe(0, 64, 0.01)
    assert times.tokens_within(0.05, 0) == math.inf


def test_before_an_answer_was_timed_a_step_takes_what_any_step_takes() -> None:
    times = taught()
    assert times.step_seconds == times.coefficients.fixed


def test_a_step_is_a_moving_average_of_those_of_answers() -> None:
    times = PrefillTimes()
    times.observe_steps(0.8, 20)
    assert times.step_seconds == pytest.approx(0.04)
    times.observe_steps(5.0, 0)  # an answer of one token says nothing
    assert times.step_seconds == pytest.approx(0.04)
    for _ in range(100):
        times.observe_steps(2.0, 20)
    assert times.step_seconds == pytest.approx(0.1, rel=0.01)


def test_a_request_takes_its_prompt_with_the_first_token_and_a_step_for_each_more() -> None:
    times = taught()
    times.observe_steps(0.4, 10)
    prompt = pytest.approx(true_seconds(64, 800), rel=0.05)
    assert times.request_seconds(64, 800, 0) == prompt
    assert times.request_seconds(64, 800, 1) == prompt
    assert times.request_seconds(-200, 800, 1) == times.coefficients.fixed, "of a prompt that is known in part"
    assert times.request_seconds(64, 800, 11) - times.request_seconds(64, 800, 1) == pytest.approx(0.4)
