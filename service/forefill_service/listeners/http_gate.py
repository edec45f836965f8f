"""Who may use an HTTP port: the callers of the streams, by the same credentials."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..access.caller import Credentials, Permission
from ..access.gate import Gate
from ..engine.vllm.openai_port import CERTIFICATE
from ..errors import Reason, Refusal

App = Callable[[dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
"""An ASGI application."""
_STATUSES = {
    Reason.UNAUTHENTICATED: 401,
    Reason.CREDENTIALS_EXPIRED: 401,
    Reason.PERMISSION_DENIED: 403,
}
_NOT_NOW = 503
_POLICY_VIOLATION = 1008
_NAMES_IN_CERTIFICATES = ("DNS", "URI", "email", "IP Address")


class HttpGate:
    """Lets the requests of callers who have a permission through to an application.

    OPTIONS, which browsers ask without credentials before anything else, passes; it tells which methods there are.
    """

    def __init__(self, app: App, gate: Gate, permission: Permission) -> None:
        self._app = app
        self._gate = gate
        self._permission = permission

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request, one WebSocket, or the application's life, as ASGI has it."""
        if scope["type"] != "lifespan" and scope.get("method") != "OPTIONS":
            try:
                await self._gate.admit(credentials_in(scope), self._permission)
            except Refusal as refusal:
                await _refuse(scope, refusal, send)
                return
        await self._app(scope, receive, send)


def credentials_in(scope: Mapping[str, Any]) -> Credentials:
    """Return what a request, or its connection, brings to prove who asks."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope.get("headers", ())]
    certificate = scope.get(CERTIFICATE) or {}
    common = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    others = [value for kind, value in certificate.get("subjectAltName", ()) if kind in _NAMES_IN_CERTIFICATES]
    identity = {
        "x509_common_name": [name.encode() for name in common],
        "x509_subject_alternative_name": [name.encode() for name in others],
    }
    return Credentials.of(headers, identity, "")


async def _refuse(scope: Mapping[str, Any], refusal: Refusal, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        return
    status = _STATUSES.get(refusal.reason, _NOT_NOW)
    error = {"message": str(refusal), "type": refusal.reason.name, "param": None, "code": status}
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
