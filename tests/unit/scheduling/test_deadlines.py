"""The size of pieces that meets all deadlines, by the table of `scheduling.deadlines`."""

import math

import pytest
from forefill_service.cache.prefill import Prefill
from forefill_service.chat.token_ids import TokenIds
from forefill_service.scheduling.deadlines import (
    DEFAULT_SECONDS_TO_ENTER,
    LEAST_SHARE,
    SHARE_OF_TIME,
    Due,
    Work,
    needed_seconds,
    work_of,
)
from forefill_service.scheduling.prefill_times import Coefficients, PrefillTimes

STEP = 0.02
TIMES = PrefillTimes()
TIMES.coefficients = Coefficients(fixed=STEP, per_token=0.001)


def share_met(piece_seconds: float) -> float:
    """Return the share of the engine's time that such a piece in every step has."""
    return piece_seconds / (STEP + piece_seconds)


def test_in_steps_so_much_longer_the_last_of_many_is_done_in_its_time() -> None:
    works = [Work(1.0, deadline) for deadline in (8.0, 9.0, 10.0)]
    piece = needed_seconds(works, STEP, 0.0)
    assert share_met(piece) * 10.0 * SHARE_OF_TIME == pytest.approx(3.0)


def test_the_tightest_deadline_decides_with_all_work_before_it() -> None:
    urgent, far = Work(0.2, 1.0), Work(0.2, 100.0)
    assert needed_seconds([far, urgent], STEP, 0.0) == needed_seconds([urgent], STEP, 0.0)
    assert needed_seconds([Work(0.22, 1.0), urgent], STEP, 0.0) > needed_seconds([urgent], STEP, 0.0)


def test_one_session_has_every_other_step_only() -> None:
    piece = needed_seconds([Work(1.0, 10.0)], STEP, 0.0)
    assert share_met(piece) / 2 * 10.0 * SHARE_OF_TIME == pytest.approx(1.0)


def test_deadlines_come_nearer_and_pieces_grow() -> None:
    works = [Work(1.0, 10.0)]
    sizes = [needed_seconds(works, STEP, now) for now in (0.0, 2.0, 4.0, 5.0)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == len(sizes)


@pytest.mark.parametrize("deadline", [0.1, 0.0, -5.0])
def test_what_cannot_be_met_takes_all_the_budget(deadline: float) -> None:
    assert needed_seconds([Work(1.0, deadline)], STEP, 0.0) == math.inf


def test_a_piece_so_small_that_nobody_feels_it_is_not_made_smaller() -> None:
    assert needed_seconds([Work(0.001, 1000.0)], STEP, 0.0) == pytest.approx(STEP * LEAST_SHARE)


def test_work_is_what_lacking_tokens_add_to_steps() -> None:
    work = work_of(Due(lambda: 9.0, 100, 500), TIMES, 0.05, 0.0)
    assert work.seconds == pytest.approx(0.5)
    assert work.deadline == 9.0


def test_a_deadline_is_no_earlier_than_the_work_could_be_done_alone() -> None:
    late = work_of(Due(lambda: 1.0, 0, 10_000), TIMES, 0.05, 0.0)
    assert late.deadline == pytest.approx(10.0 * (0.05 + STEP) / 0.05)
    assert late.deadline > work_of(Due(lambda: 1.0, 0, 500), TIMES, 0.05, 0.0).deadline


def test_where_nothing_is_known_enter_is_always_as_far_away() -> None:
    for now in (0.0, 100.0):
        assert work_of(Due(None, 0, 10), TIMES, 0.05, now).deadline == now + DEFAULT_SECONDS_TO_ENTER


def test_after_a_piece_the_rest_is_due() -> None:
    due = Due(None, 32, 64)
    assert due.after(Prefill(TokenIds((), (1,) * 64), 32)) == Due(None, 64, 32)
    assert due.after(Prefill(TokenIds((), (1,) * 96), 64)) is None
