"""Rendezvous hashing: all who know the same names agree which of them a key falls to, without talking to each other.

Each name is scored together with the key, and the highest score wins (Thaler and Ravishankar 1998). If a name goes
away, only its own keys move, and they return when it does.
"""

import hashlib
from collections.abc import Sequence


def ranked(key: str, names: Sequence[str]) -> list[str]:
    """Return the names in order of preference for this key."""
    return sorted(names, key=lambda name: _score(key, name), reverse=True)


def _score(key: str, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), key=hashlib.sha256(key.encode()).digest(), digest_size=8).digest()
