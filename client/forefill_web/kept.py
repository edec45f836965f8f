"""The conversations of a bridge by their tokens, each with a place until it is over."""

import hashlib
import secrets
from collections.abc import Iterator

from .conversation import Conversation
from .limits import BridgeLimits
from .places import Places

TOKEN_BYTES = 32


def new_token() -> str:
    """Return what only the browser of one conversation knows."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Kept:
    """Finds conversations by the hash of their token, so that no comparison tells how much of a guess is right."""

    def __init__(self, limits: BridgeLimits) -> None:
        self._places = Places(limits.conversations, limits.conversations_per_address)
        self._by_hash: dict[bytes, Conversation] = {}

    def __iter__(self) -> Iterator[Conversation]:
        return iter(tuple(self._by_hash.values()))

    def find(self, token: str, owner: str) -> Conversation | None:
        """Return the conversation with this token, if it is this owner's and not over."""
        found = self._by_hash.get(_hash(token))
        return found if found is not None and found.owner == owner and not found.over else None

    def add(self, conversation: Conversation) -> bool:
        """Keep a conversation until it is removed, if there is a place for it, or one that can be made."""
        address = conversation.address
        if self._places.full_for(address):
            self._drop_oldest(None if self._places.full else address)
        if not self._places.take(address):
            return False
        self._by_hash[_hash(conversation.token)] = conversation
        return True

    def remove(self, conversation: Conversation) -> None:
        """Forget a conversation that is over; a second time does nothing."""
        if self._by_hash.pop(_hash(conversation.token), None) is not None:
            self._places.leave(conversation.address)

    def _drop_oldest(self, address: str | None) -> None:
        """End the conversation that has been without a socket for longest, of this address or of any."""
        alone = [one for one in self if one.lines.alone_since is not None and address in (None, one.address)]
        if alone:
            oldest = min(alone, key=lambda one: one.lines.alone_since or 0.0)
            oldest.drop()
            self.remove(oldest)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
