"""Accounts by name, bounded."""

from forefill_service.scheduling import accounts
from forefill_service.scheduling.accounts import Accounts


def test_an_account_is_opened_when_it_is_first_asked_for_and_kept() -> None:
    known: Accounts[list[int]] = Accounts(list)
    known.of("a").append(1)
    assert known.of("a") == [1]
    assert known.of("b") == []


def test_the_one_used_longest_ago_is_forgotten_first(monkeypatch: object) -> None:
    known: Accounts[list[int]] = Accounts(list)
    for number in range(accounts.MOST_ACCOUNTS):
        known.of(str(number)).append(number)
    known.of("0")
    known.of("one more")
    assert known.of("0") == [0]
    assert known.of("1") == []
