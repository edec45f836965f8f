"""How often something may happen."""

import pytest
from forefill_service.access.rates import Bucket

from tests.support.hand_clock import HandClock


def test_after_a_burst_the_rate_counts() -> None:
    clock = HandClock()
    bucket = Bucket(2, 3, clock)
    assert [bucket.try_take() for _ in range(3)] == [0, 0, 0]
    assert bucket.try_take() == pytest.approx(0.5)
    clock.now += 0.5
    assert bucket.try_take() == 0
    assert bucket.try_take() > 0


def test_taking_in_advance_says_how_long_to_wait() -> None:
    clock = HandClock()
    bucket = Bucket(2, 1, clock)
    assert [bucket.take() for _ in range(3)] == pytest.approx([0, 0.5, 1])


def test_it_never_holds_more_than_the_burst() -> None:
    clock = HandClock()
    bucket = Bucket(2, 3, clock)
    assert bucket.full
    bucket.take()
    assert not bucket.full
    clock.now += 1000
    assert bucket.full
    assert [bucket.take() for _ in range(4)] == pytest.approx([0, 0, 0, 0.5])
