"""Habits: what was expected and what came, counted."""

import math

import pytest
from forefill_service.session.endings import Ending
from forefill_service.session.habits import HINTED, Habits, count, logistic


def test_nothing_is_corrected_before_anything_is_counted() -> None:
    assert Habits().log_correction(Ending.FINAL) == 0.0


def test_ends_that_came_as_often_as_expected_correct_nothing() -> None:
    habits = Habits()
    for index in range(8):
        habits.count(Ending.FINAL, 0.25, came=index % 4 == 0)
    assert habits.log_correction(Ending.FINAL) == pytest.approx(0.0)


def test_the_odds_are_corrected_by_the_ratio_of_what_came_to_what_was_expected() -> None:
    habits = Habits(prior=1.0)
    for _ in range(4):
        habits.count(Ending.SEMICOLON, 0.25, came=True)
    ends, others = (4 + 1) / (1 + 1), (3 + 1) / (0 + 1)
    assert habits.log_correction(Ending.SEMICOLON) == pytest.approx(math.log(ends * others))
    assert habits.log_correction(Ending.FINAL) == 0.0


def test_after_its_half_life_a_count_weighs_half() -> None:
    habits = Habits(half_life_messages=10)
    habits.count(Ending.FINAL, 0.5, came=True)
    for _ in range(10):
        habits.message_sent()
    counted = habits.counts[Ending.FINAL]
    assert (counted.changes, counted.expected, counted.came) == pytest.approx((0.5, 0.25, 0.5))


def test_narrower_habits_are_taught_what_wider_ones_leave() -> None:
    tenant, session = Habits(prior=1.0), Habits(prior=1.0)
    for _ in range(5):
        count([tenant], Ending.SEMICOLON, -2.0, came=True)
    known = tenant.log_correction(Ending.SEMICOLON)
    count([tenant, session], Ending.SEMICOLON, -2.0, came=True)
    assert session.counts[Ending.SEMICOLON].expected == pytest.approx(logistic(-2.0 + known))


def test_habits_are_bounded_by_the_kinds() -> None:
    habits = Habits()
    for index in range(2000):
        for kind in (*Ending, HINTED):
            habits.count(kind, 0.1, came=index % 7 == 0)
        habits.message_sent()
    assert len(habits.counts) == len(Ending) + 1
    assert max(counted.changes for counted in habits.counts.values()) < 30


def test_a_chance_of_no_odds_is_none() -> None:
    assert logistic(-math.inf) == 0.0
    assert logistic(0.0) == 0.5
    assert logistic(800.0) == 1.0
