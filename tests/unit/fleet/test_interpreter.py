"""The interpreter of a server makes its sessions wait for as short as it can."""

import gc
import sys
from collections.abc import Iterator

import pytest
from forefill_service.fleet.interpreter import FULL_COLLECTION_EVERY, SWITCH_SECONDS, shorten_pauses


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold, seconds = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)
    sys.setswitchinterval(seconds)


def test_what_is_there_at_the_start_is_not_looked_at_again() -> None:
    there = [[object()] for _ in range(1000)]
    shorten_pauses()
    looked_at = {id(it) for it in gc.get_objects()}
    assert not any(id(it) in looked_at for it in there)


def test_what_comes_later_is_collected_as_before_only_not_so_often() -> None:
    young, middle, full = gc.get_threshold()
    shorten_pauses()
    assert gc.get_threshold() == (young, middle, FULL_COLLECTION_EVERY)
    assert full < FULL_COLLECTION_EVERY


def test_a_thread_lets_the_event_loop_run_after_half_a_millisecond() -> None:
    shorten_pauses()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
