"""Addresses to listen on, as text, and as a socket."""

import socket

from ..errors import ServiceError


class ListenError(ServiceError):
    """Raised when the server cannot listen on an address."""

    def __init__(self, host: str, port: int, flag: str, purpose: str = "") -> None:
        super().__init__(f"cannot listen on {address_of(host, port)}{purpose}; choose another with {flag}")


def address_of(host: str, port: int) -> str:
    """Return a host and a port as HOST:PORT."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def listen(host: str, port: int, flag: str, purpose: str) -> socket.socket:
    """Return a socket that listens; `flag` and `purpose` are for the message of the ListenError."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ListenError(host, port, flag, purpose) from error
