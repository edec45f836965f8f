"""Throttles warming for sessions and tenants whose warmed tokens were mostly wasted.

An account holds how many tokens were computed ahead for its owner and how many of them were used; older turns fade by
half with each `FADING_TOKENS` of new ones. It starts with a credit, so that no owner is judged by one turn. If the used
share falls below `least_share`, only that part of the requests is admitted: at a quarter of it, one in four.
"""

from dataclasses import dataclass

from ..session.ledger import Balance
from .accounts import Accounts

START_CREDIT_TOKENS = 4096.0
FADING_TOKENS = 32768.0


@dataclass(slots=True)
class _Account:
    computed: float = START_CREDIT_TOKENS
    used: float = START_CREDIT_TOKENS
    admitted_share: float = 0.0

    @property
    def used_share(self) -> float:
        return self.used / self.computed


class WasteLimiter:
    """The accounts of one server. A `least_share` of 0 admits every request."""

    def __init__(self, least_share: float) -> None:
        self._least_share = least_share
        self._accounts = Accounts(_Account)

    def allows(self, *owners: str) -> bool:
        """Return whether a request is admitted; the worst account of its owners decides."""
        account = min((self._accounts.of(owner) for owner in owners), key=lambda account: account.used_share)
        if account.used_share >= self._least_share:
            return True
        account.admitted_share += account.used_share / self._least_share
        if account.admitted_share < 1:
            return False
        account.admitted_share -= 1
        return True

    def used_share(self, owner: str) -> float:
        """Return how much of what was computed ahead for an owner was used lately, from 0 to 1."""
        return self._accounts.of(owner).used_share

    def settled(self, balance: Balance, *owners: str) -> None:
        """Add the settled ledger of a turn to the accounts of its owners."""
        computed, used = balance.computed - balance.kept, balance.used
        for account in map(self._accounts.of, owners):
            fading = 0.5 ** (computed / FADING_TOKENS)
            account.computed = account.computed * fading + computed
            account.used = account.used * fading + used
