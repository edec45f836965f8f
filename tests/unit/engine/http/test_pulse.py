"""Whether a remote engine is alive."""

import pytest
from forefill_service.engine.http.pulse import Pulse


@pytest.fixture
def pulse() -> Pulse:
    pulse = Pulse()
    pulse.answered(0)
    return pulse


def test_it_counts_as_down_until_a_probe_was_answered() -> None:
    pulse = Pulse()
    assert not pulse.up
    pulse.heard(1)
    assert not pulse.up
    assert pulse.answered(2)
    assert pulse.up


def test_it_comes_up_once(pulse: Pulse) -> None:
    assert not pulse.answered(1)
    pulse.failed(quiet_since=0)
    assert pulse.answered(2)


def test_a_refused_connection_settles_it_at_once(pulse: Pulse) -> None:
    pulse.refused()
    assert not pulse.up


def test_so_does_a_probe_that_fails_whatever_was_heard(pulse: Pulse) -> None:
    pulse.heard(11)
    pulse.failed(quiet_since=10)
    assert not pulse.up


def test_a_probe_that_is_not_served_means_down(pulse: Pulse) -> None:
    pulse.probe_unanswered(quiet_since=10)
    assert not pulse.up


def test_unless_it_was_heard_of_meanwhile(pulse: Pulse) -> None:
    pulse.heard(11)
    pulse.probe_unanswered(quiet_since=10)
    assert pulse.up


class TestRouter:
    @pytest.fixture
    def router(self) -> Pulse:
        router = Pulse(single_server=False)
        router.answered(0)
        return router

    def test_what_happens_to_one_key_says_nothing_of_the_others(self, router: Pulse) -> None:
        router.refused()
        router.failed(quiet_since=10)
        router.probe_unanswered(quiet_since=11)
        assert router.up

    def test_with_probes_in_a_row_that_find_nobody_it_is_down(self, router: Pulse) -> None:
        for quiet_since in (10, 11, 12):
            router.failed(quiet_since)
        assert not router.up
        assert router.answered(13)

    def test_but_not_while_others_are_answered(self, router: Pulse) -> None:
        router.heard(20)
        for quiet_since in (10, 11, 12, 13, 14):
            router.failed(quiet_since)
        assert router.up

    def test_a_probe_that_is_answered_begins_the_row_anew(self, router: Pulse) -> None:
        for now in (10, 20, 30):
            router.failed(now)
            router.failed(now + 1)
            router.answered(now + 2)
        assert router.up
