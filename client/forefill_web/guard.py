"""The border of the whole application: by which name it is called, who has the key, and the headers of responses."""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from .access_key import AccessKey
from .headers import security_headers
from .origins import is_loopback, name_in

OPEN_PATHS: Final = frozenset({"/enter", "/health"})
"""What is served to who has no key."""


class Guard:
    """Refuses requests by other names than `names` and those of loopback, and those without the key if there is one."""

    def __init__(self, app: ASGIApp, names: Collection[str], key: AccessKey | None) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        known = len(hosts) == 1 and self._knows(hosts[0])
        secure = scope["scheme"] in ("https", "wss")
        guarded = _with_headers(send, security_headers(hosts[0] if known else "localhost", secure=secure))
        refusal = self._refusal(scope, headers, known=known, secure=secure)
        if refusal is None:
            await self._app(scope, receive, guarded)
        elif scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        else:
            await refusal(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers, *, known: bool, secure: bool) -> Response | None:
        if not known:
            return PlainTextResponse("This host is not called that: start it with --host-name NAME.\n", 421)
        if self._key is None or scope["path"] in OPEN_PATHS:
            return None
        if self._key.is_in(headers.get("cookie", ""), secure=secure):
            return None
        return RedirectResponse("/enter", 303) if scope["path"] == "/" else PlainTextResponse("Enter first.\n", 403)

    def _knows(self, host: str) -> bool:
        name = name_in(host)
        return name is not None and (is_loopback(name) or name in self._names)


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in headers.items():
                given[name] = value
        await send(message)

    return guarded
