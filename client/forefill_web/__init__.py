"""The bridge from browsers to a forefill server: a WebSocket on one side, the SDK on the other, and a page to try it.

    bridge = Bridge(client, SessionOptions(before=[("system", "You write SQL.")]))
    app = Starlette(routes=[WebSocketRoute("/socket", bridge.endpoint)], lifespan=...)

In the browser, forefill.js binds a text box to that socket. SOCKET.md beside this file defines the messages on it. The
command `forefill web` serves the bridge and the page. It needs the extra `web`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bridge import Bridge
    from .limits import BridgeLimits
    from .options import SessionOptions

__all__ = ["Bridge", "BridgeLimits", "SessionOptions"]

_MODULES = {"Bridge": "bridge", "BridgeLimits": "limits", "SessionOptions": "options"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: `forefill --help` imports this package without the extra `web`."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
