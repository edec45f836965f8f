"""The name of a place on the wire, by which another copy of forefill finds a session's cached blocks.

    1.b7712637
    |  |
    |  the start of a hash of the replica's name
    version: a token of another one is unknown

It is no secret and grants nothing. It does not contain the replica's address, but someone who guesses an address can
check the guess. A token that names no known replica is ignored.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

VERSION: Final = "1"
_BYTES: Final = 4


def token_of(name: str) -> str:
    """Return the token for the replica with this name."""
    return f"{VERSION}.{hashlib.sha256(f'forefill place {name}'.encode()).hexdigest()[: 2 * _BYTES]}"


def name_for(token: str, names: Iterable[str]) -> str | None:
    """Return the name that a token stands for; None if it stands for none of these."""
    return next((name for name in names if token_of(name) == token), None) if token else None
