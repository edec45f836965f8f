"""How much one message may hold: on the wire, before anything of it is parsed, and in memory, as long as it is kept.

    what                          most, by default                           beyond it
    any message                   1 MB on the wire                           the stream ends: MESSAGE_TOO_LARGE
    Open                          16 bytes for each token of the context,    the stream ends: MESSAGE_TOO_LARGE
                                  and 128 KB for the rest
    what a session keeps of it    512 KB of memory; 32 bytes for each        the stream ends: INVALID_OPEN
                                  token, if the context has over 16,384
    Rewrite, HandOffFinished      a conversation of as many code points as   the event is refused
                                  an Open may have bytes

Text of more than 16 bytes a token is hardly anything but runs of spaces and the like. It takes at most four bytes of
memory for each byte on the wire, so the third line is no limit to text that fits into the context, but to what is many
things: an empty object takes two bytes on the wire, and 64 of memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from sys import getsizeof
from typing import Any

from ..settings import Settings

REST_BYTES = 128 * 1024
"""Of an Open beside its conversation: variables of the template and a structure of the answer are 64 KB each."""
LEAST_HELD_BYTES = 512 * 1024
HELD_BYTES_PER_TOKEN = 32


@dataclass(frozen=True, slots=True)
class ContentLimits:
    """The most bytes of a message, of an Open, and of what a session keeps of its Open."""

    message_bytes: int
    open_bytes: int
    held_bytes: int

    @classmethod
    def of(cls, settings: Settings, context_tokens: int) -> "ContentLimits":
        """Return the limits of a server whose model has this context."""
        message_bytes = settings.server.max_message_bytes
        open_bytes = settings.sessions.open_bytes_per_token * context_tokens + REST_BYTES
        held_bytes = max(LEAST_HELD_BYTES, HELD_BYTES_PER_TOKEN * context_tokens)
        return cls(message_bytes, min(message_bytes, open_bytes), held_bytes)


def held_bytes(value: Any) -> int:
    """Return the memory that a value takes with all in it; what several places share counts once for each."""
    total, rest = 0, [value]
    while rest:
        one = rest.pop()
        if one is None or isinstance(one, bool | Enum):  # there is one of each for all
            continue
        total += getsizeof(one)
        if isinstance(one, Mapping):
            rest += [*one, *one.values()]
        elif isinstance(one, tuple | list):
            rest += one
        else:
            rest += [getattr(one, name) for name in getattr(one, "__slots__", ())]
    return total
