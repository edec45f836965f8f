"""Who may use an HTTP port: the callers of the streams, by the same credentials."""

import json
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any

from ..access.caller import Credentials, Permission
from ..access.gate import Gate
from ..errors import Reason, Refusal
from .openai_port import CERTIFICATE

App = Callable[[dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
"""An ASGI application."""
_STATUSES = {
    Reason.UNAUTHENTICATED: 401,
    Reason.CREDENTIALS_EXPIRED: 401,
    Reason.PERMISSION_DENIED: 403,
}
_NOT_NOW = 503
_POLICY_VIOLATION = 1008
_ADDRESS = "IP Address"
_NAMES_IN_CERTIFICATES = ("DNS", "URI", "email", _ADDRESS)


class HttpGate:
    """Lets the requests of callers who have a permission through to an application.

    What browsers ask before they send credentials, whether they may, passes: vLLM's own CORS middleware answers it, and
    nothing behind that sees it.
    """

    def __init__(self, app: App, gate: Gate, permission: Permission) -> None:
        self._app = app
        self._gate = gate
        self._permission = permission

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request, one WebSocket, or the application's life, as ASGI has it."""
        if scope["type"] != "lifespan" and not _asks_whether_it_may(scope):
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
    common = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"][:1]
    others = [_name(*entry) for entry in certificate.get("subjectAltName", ()) if entry[0] in _NAMES_IN_CERTIFICATES]
    identity = {
        "x509_common_name": [name.encode() for name in common],
        "x509_subject_alternative_name": [name.encode() for name in others],
    }
    return Credentials.of(headers, identity, "")


def _asks_whether_it_may(scope: Mapping[str, Any]) -> bool:
    names = {name for name, _ in scope.get("headers", ())}
    return scope.get("method") == "OPTIONS" and {b"origin", b"access-control-request-method"} <= names


def _name(kind: str, value: str) -> str:
    """Return a name in a certificate as gRPC reads it: Python writes all of the zeros of an address."""
    return str(ip_address(value)) if kind == _ADDRESS else value


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
