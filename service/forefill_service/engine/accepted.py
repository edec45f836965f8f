"""What an engine accepted recently, so that each session does not have to ask again."""

from collections.abc import Hashable
from dataclasses import replace

from ..chat.generation import Sampling

MOST = 64
"""A structure may be long."""


class Recent:
    """The latest of the keys that were added."""

    def __init__(self) -> None:
        self._known: dict[Hashable, None] = {}

    def has(self, key: Hashable) -> bool:
        """Return whether a key was added, and is the latest again then."""
        if key not in self._known:
            return False
        self._known[key] = self._known.pop(key)
        return True

    def add(self, key: Hashable) -> None:
        """Add a key; the oldest makes room for it."""
        self._known.pop(key, None)
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[key] = None

    def clear(self) -> None:
        """Forget them all."""
        self._known.clear()


class Accepted:
    """The samplings that an engine can answer with, of the adapters that they were asked for; the latest of them."""

    def __init__(self) -> None:
        self._recent = Recent()

    def has(self, sampling: Sampling, adapter: str = "") -> bool:
        """Return whether it was accepted, or one that differs from it only in what every engine takes."""
        return self._recent.has(self._key(sampling, adapter))

    def add(self, sampling: Sampling, adapter: str = "") -> None:
        """Record that the engine has accepted it."""
        self._recent.add(self._key(sampling, adapter))

    def clear(self) -> None:
        """Forget them all: the engine may be another."""
        self._recent.clear()

    def _key(self, sampling: Sampling, adapter: str) -> tuple[Sampling, str]:
        return replace(sampling, seed=None, max_tokens=None, min_tokens=None), adapter
