"""Why no connection comes about: what gRPC says then, what that means, and what to do."""

from typing import Final, NamedTuple


class Cause(NamedTuple):
    """One way in which a server cannot be reached."""

    signs: tuple[str, ...]
    """What gRPC says; one of these is in it."""
    meaning: str
    advice: str


_CHECK: Final = "check the address"
_UNKNOWN: Final = Cause((), "", "start one with forefill-server, or check the address")
CAUSES: Final = (
    Cause(("Connection refused",), "nothing listens there", _UNKNOWN.advice),
    Cause(("DNS resolution failed", "errors resolving"), "its name is not known", _CHECK),
    Cause(("WRONG_VERSION_NUMBER",), "the server does not speak TLS", "connect without TLS"),
    Cause(("certificate has expired",), "its certificate has expired", "have it renewed"),
    Cause(
        ("CERTIFICATE_VERIFY_FAILED",),
        "its certificate is not trusted",
        "name the authority that has signed it (tls= or --tls-ca)",
    ),
    Cause(
        ("Hostname Verification Check failed",),
        "its certificate is for another name",
        "connect to a name that is in it, or say which one is (--tls-server-name)",
    ),
    Cause(
        ("Failed to create security handshaker",),
        "the certificates or the key that you gave cannot be used",
        "give PEM files, and a key that belongs to its certificate",
    ),
    Cause(("handshak",), "the TLS handshake failed", "check the address, and the certificates"),
    Cause(("http1",), "another kind of server listens there", _CHECK),
    Cause(
        ("Connection reset", "Socket closed"),
        "another kind of server listens there, or it expects TLS or a client certificate",
        "check the address, or give what it expects (tls= or credentials=; --tls, or --tls-cert and --tls-key)",
    ),
    Cause(("No route to host", "Network is unreachable"), "its network cannot be reached", _CHECK),
)
"""The first that fits counts."""


def cause_of(said: str) -> Cause:
    """Return the cause of what gRPC says; without a meaning if it is none of these."""
    return next((cause for cause in CAUSES if any(sign in said for sign in cause.signs)), _UNKNOWN)
