"""Which of several names a key falls to, so that everyone who knows the names agrees, without talking to each other.

Each name is scored with the key, and the highest wins (rendezvous hashing, Thaler and Ravishankar 1998): where a name
goes away only its own keys move, and they come back with it.
"""

import hashlib
from collections.abc import Sequence


def ranked(key: str, names: Sequence[str]) -> list[str]:
    """Return the names in the order in which the key falls to them."""
    return sorted(names, key=lambda name: _score(key, name), reverse=True)


def _score(key: str, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), key=hashlib.sha256(key.encode()).digest(), digest_size=8).digest()
