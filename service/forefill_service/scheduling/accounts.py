"""Accounts by the name of their owner, a session or a tenant: bounded, the one used longest ago is forgotten first."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

MOST_ACCOUNTS = 10_000

T = TypeVar("T")


class Accounts(Generic[T]):
    """One account for each name, opened by `new` when it is first asked for."""

    def __init__(self, new: Callable[[], T]) -> None:
        self._new = new
        self._by_name: OrderedDict[str, T] = OrderedDict()

    def of(self, name: str) -> T:
        """Return the account of a name."""
        if (account := self._by_name.get(name)) is None:
            account = self._by_name[name] = self._new()
            if len(self._by_name) > MOST_ACCOUNTS:
                self._by_name.popitem(last=False)
        else:
            self._by_name.move_to_end(name)
        return account
