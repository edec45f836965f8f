"""How long a session tries to reach a server again, and how long it waits before each try."""

from unittest.mock import patch

import pytest
from forefill_client import Resume, ServerStopping, Unavailable
from forefill_client.outage import Outage


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _longest_draws() -> object:
    with patch("random.uniform", lambda low, high: high) as patched:
        yield patched


def test_the_limit_of_a_delay_doubles_with_each_try_up_to_the_longest() -> None:
    outage = Outage(Resume(seconds=60, first_delay_seconds=0.1, longest_delay_seconds=0.5), Clock())
    delays = [outage.next_delay_seconds(Unavailable("gone")) for _ in range(5)]
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])


def test_what_the_server_asks_for_is_waited_for_first() -> None:
    outage = Outage(Resume(seconds=60, first_delay_seconds=0.1), Clock())
    stopping = ServerStopping("later")
    stopping.retry_after_seconds = 3
    assert outage.next_delay_seconds(stopping) == pytest.approx(3.1)


def test_a_try_that_would_come_too_late_is_none() -> None:
    clock = Clock()
    outage = Outage(Resume(seconds=10, first_delay_seconds=1), clock)
    assert outage.next_delay_seconds(Unavailable("gone")) == 1
    clock.now += 9
    assert outage.next_delay_seconds(Unavailable("gone")) is None


def test_many_tries_do_not_overflow() -> None:
    outage = Outage(Resume(seconds=1e9, first_delay_seconds=0.1, longest_delay_seconds=2), Clock())
    delays = [outage.next_delay_seconds(Unavailable("gone")) for _ in range(2000)]
    assert delays[-1] == 2
