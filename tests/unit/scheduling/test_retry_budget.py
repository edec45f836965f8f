"""The limit on generations that are sent a second time."""

from forefill_service.scheduling.retry_budget import RESERVE, RetryBudget


def retries(budget: RetryBudget, generations: int) -> int:
    """Return how many retries are granted if every generation asks for one."""
    granted = 0
    for _ in range(generations):
        budget.generation()
        granted += budget.take()
    return granted


def test_where_everything_fails_no_more_than_the_share_is_sent_again() -> None:
    assert 100 <= retries(RetryBudget(0.1), 1000) <= 100 + RESERVE


def test_the_first_failures_may_be_sent_again_before_anything_was_paid_in() -> None:
    budget = RetryBudget(0.1)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]


def test_quiet_times_save_up_no_more_than_the_reserve() -> None:
    budget = RetryBudget(0.1)
    for _ in range(1000):
        budget.generation()
    assert sum(budget.take() for _ in range(100)) == RESERVE


def test_a_share_of_nothing_is_no_retry_at_all() -> None:
    assert retries(RetryBudget(0.0), 100) == 0
