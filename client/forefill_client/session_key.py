"""The key of a session, and the metadata by which a gateway in front of several servers keeps its streams together."""

import hashlib
import secrets
from typing import Final

SESSION_METADATA: Final = "x-forefill-session"


def new_session_key() -> str:
    """Return a random key, for a session whose caller gives none."""
    return secrets.token_hex(8)


def hash_of_session_key(session_key: str) -> str:
    """Return what stands for a session in its metadata: the key itself may name a user."""
    return hashlib.sha256(session_key.encode()).hexdigest()[:32]
