"""The portal of a client without await, and what a call raises that comes after the client was closed."""

from .errors import NotReachable
from .portal import Portal


class ClientClosed(NotReachable):
    """Raised when the client is closed, and with it its sessions."""


def client_portal() -> Portal:
    """Return a portal whose late calls raise ClientClosed."""
    return Portal("forefill-client", lambda: ClientClosed("the client is closed: make a new one with Client.connect"))
