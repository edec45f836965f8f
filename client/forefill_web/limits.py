"""What one browser, one address, and all together may have of a bridge."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeLimits:
    """The limits of a bridge. Those of the server hold beside them: the browser gets its errors as they are."""

    message_bytes: int = 1 << 20
    """Largest message from a browser, in bytes of UTF-8; a larger one closes the socket with 1009."""
    messages: int = 1000
    """Most messages of a conversation that a browser may bring: in `open` and in `rewrite`."""
    messages_per_second: float = 200.0
    """How many messages of one socket are read in a second; what comes faster waits, and then its sender does."""
    burst: int = 400
    """How many may be read at once after a silence."""
    sockets: int = 1000
    """Most sockets at a time; one more is closed with 1013."""
    sockets_per_address: int = 50
    """Most sockets of one client address. Behind a proxy that does not pass addresses on, all browsers have its own."""
    conversations: int = 2000
    """Most conversations at a time, with a socket or kept without one. The oldest without one makes way for a new."""
    conversations_per_address: int = 100
    """Most conversations of one client address."""
    open_seconds: float = 10.0
    """How long a socket may take to send `open`."""
    keep_seconds: float = 60.0
    """How long a conversation is kept without a socket."""
    write_seconds: float = 10.0
    """How long a browser may take to read a message; then its socket is closed, and its conversation kept."""
    unsent_messages: int = 1000
    """Most messages that wait to be sent on one socket; then it is closed, too."""
