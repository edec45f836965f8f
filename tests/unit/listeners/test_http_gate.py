"""An HTTP port is for the callers of the streams: who is let through, and what the others are told."""

import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from forefill_service.access.caller import Credentials, Permission
from forefill_service.access.certificate import ServerCertificate
from forefill_service.access.gate import Gate
from forefill_service.listeners.http_gate import HttpGate, credentials_in
from forefill_service.listeners.openai_port import CERTIFICATE, openai_port
from forefill_service.settings import Settings

from tests.support.callers import callers_file, with_key
from tests.support.certificates import Certificates

CERTIFIED = {
    "subject": ((("organizationName", "clinic"),), (("commonName", "web"),), (("commonName", "other"),)),
    "subjectAltName": (("DNS", "web.internal"), ("URI", "spiffe://clinic/web"), ("DirName", "x")),
}


async def answering(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"SELECT 1"})


def gate_of(tmp_path: Path, *entries: str) -> Gate:
    return Gate.of(Settings(callers=callers_file(tmp_path, *entries)).access)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    gate = gate_of(tmp_path, with_key("key"), with_key("types", "box", 'permissions = ["compose"]'))
    app: Any = HttpGate(answering, gate, Permission.HAND_OFF)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        ({"Authorization": "Bearer key"}, 200, ""),
        ({"Authorization": "bearer  key"}, 200, ""),
        ({}, 401, "UNAUTHENTICATED"),
        ({"Authorization": "Bearer other"}, 401, "UNAUTHENTICATED"),
        ({"Authorization": "Basic key"}, 401, "UNAUTHENTICATED"),
        ({"Authorization": b"Bearer \xff"}, 401, "UNAUTHENTICATED"),
        ({"Authorization": "Bearer types"}, 403, "PERMISSION_DENIED"),
    ],
    ids=str,
)
async def test_who_may_hand_off_is_let_through(
    client: httpx.AsyncClient, sent: dict[str, Any], status: int, reason: str
) -> None:
    answer = await client.post("/v1/chat/completions", headers=sent, json={"prompt": "canary"})
    assert answer.status_code == status
    if reason:
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == (reason, status)
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
        assert "canary" not in answer.text
    else:
        assert answer.text == "SELECT 1"


@pytest.mark.parametrize("path", ["/", "/health", "/metrics", "/tokenize", "/v1/models"])
async def test_nothing_is_told_to_others_whatever_they_ask_for(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 401


PREFLIGHT = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [(PREFLIGHT, 200), ({}, 401), ({"Origin": "https://app.example"}, 401), ({"X-HTTP-Method-Override": "GET"}, 401)],
    ids=str,
)
async def test_browsers_may_ask_first_what_they_may_ask(
    client: httpx.AsyncClient, sent: dict[str, str], status: int
) -> None:
    assert (await client.options("/metrics", headers=sent)).status_code == status


async def test_a_web_socket_of_others_is_closed_before_it_opens(tmp_path: Path) -> None:
    sent = list[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    app = HttpGate(answering, gate_of(tmp_path, with_key("key")), Permission.HAND_OFF)
    await app({"type": "websocket", "headers": []}, None, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_file_of_callers_that_is_replaced_counts_at_once(tmp_path: Path) -> None:
    app: Any = HttpGate(answering, gate_of(tmp_path, with_key("key")), Permission.HAND_OFF)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        callers_file(tmp_path, with_key("another"))
        keys = {key: await client.get("/", headers={"Authorization": f"Bearer {key}"}) for key in ("key", "another")}
    assert {key: answer.status_code for key, answer in keys.items()} == {"key": 401, "another": 200}


async def test_without_callers_everybody_is_let_through() -> None:
    app: Any = HttpGate(answering, Gate(), Permission.HAND_OFF)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/")).text == "SELECT 1"


async def test_the_names_in_a_certificate_are_those_that_grpc_reads(tmp_path: Path) -> None:
    certificates = Certificates.new(tmp_path)
    names = ("web.internal", "me@clinic.example", "10.0.0.7", "2001:db8::1")
    leaf = certificates.authority.issue_cert(*names, common_name="web")
    read = dict[str, list[bytes]]()

    async def look(_: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        read.update({name: list(values) for name, values in context.auth_context().items()})
        return b""

    server = grpc.aio.server()
    handler: Any = grpc.unary_unary_rpc_method_handler(look)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test", {"Look": handler})])
    pair = certificates.key.read_bytes(), certificates.cert.read_bytes()
    port = server.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([pair], certificates.authority.cert_pem.bytes(), True)
    )
    await server.start()
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", certificates.trusted(leaf)) as channel:
        ask: Any = channel.unary_unary("/test/Look")
        await ask(b"")
    await server.stop(None)
    by_grpc = Credentials.of([], read, "").certificate_names

    listener = socket.create_server(("127.0.0.1", 0))
    tls = ServerCertificate(certificates.cert, certificates.key, certificates.client_ca).context()
    seen = list[Any]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append(scope[CERTIFICATE])
            await answering(scope, receive, send)

    trusting = ssl.create_default_context()
    certificates.authority.configure_trust(trusting)
    leaf.configure_cert(trusting)
    async with openai_port(app, listener, 1, tls), httpx.AsyncClient(verify=trusting) as client:
        await client.get(f"https://127.0.0.1:{listener.getsockname()[1]}/")
    by_http = credentials_in({"type": "http", "headers": [], CERTIFICATE: seen[0]}).certificate_names
    assert by_http == by_grpc == ("web", *names)


def test_of_several_common_names_the_first_counts_and_of_other_kinds_of_names_none() -> None:
    credentials = credentials_in({"type": "http", "headers": [], CERTIFICATE: CERTIFIED})
    assert credentials.certificate_names == ("web", "web.internal", "spiffe://clinic/web")
    assert credentials.token is None


def test_a_header_that_names_a_certificate_is_none() -> None:
    headers = [(CERTIFICATE.encode(), b"web"), (b"x509_common_name", b"web")]
    assert credentials_in({"type": "http", "headers": headers}).certificate_names == ()
