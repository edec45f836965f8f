"""How many have a place, in all and by address: pure."""

from collections import Counter


class Places:
    """Places of which each address may take some."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._taken: Counter[str] = Counter()

    def full_for(self, address: str) -> bool:
        """Whether this address can take no other."""
        return self.full or self._taken[address] >= self._most_per_address

    @property
    def full(self) -> bool:
        """Whether nobody can take another."""
        return self._taken.total() >= self._most

    def take(self, address: str) -> bool:
        """Take a place if there is one for this address."""
        if self.full_for(address):
            return False
        self._taken[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Give a place back."""
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]
