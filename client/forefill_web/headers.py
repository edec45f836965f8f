"""The headers of every response: what a browser may do with it, and what it may tell others. Pure.

The page's scripts, styles and pictures come from here alone, and it talks to here alone. `connect-src` names the
socket's address beside 'self', since older browsers take that for http alone.
"""

from typing import Final

_FIXED: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}
_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
)


def security_headers(host: str, *, secure: bool) -> dict[str, str]:
    """Return the headers of a response to a request for this host, whose name has been checked."""
    socket = f"{'wss' if secure else 'ws'}://{host}"
    policy = "; ".join((*_POLICY, f"connect-src 'self' {socket}"))
    return {"content-security-policy": policy, **_FIXED}
