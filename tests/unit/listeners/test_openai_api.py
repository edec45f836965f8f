"""The OpenAI port speaks TLS as streams do, and asks for the same credentials."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from forefill_service.access.caller import Permission
from forefill_service.access.certificate import ServerCertificate
from forefill_service.access.gate import Gate
from forefill_service.engine import FakeEngine
from forefill_service.errors import EngineStartError, SettingsFileError
from forefill_service.listeners.http_gate import HttpGate
from forefill_service.listeners.openai_api import openai_api
from forefill_service.listeners.openai_port import openai_port
from forefill_service.settings import Settings

from tests.support.callers import callers_file, with_key
from tests.support.certificates import Certificates

SECONDS_TO_GIVE_UP = 30


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates.new(tmp_path)


@asynccontextmanager
async def served(certificates: Certificates, **more: Any) -> AsyncIterator[str]:
    access = Settings(tls_cert=certificates.cert, tls_key=certificates.key, **more).access
    certificate = ServerCertificate.of(access)
    assert certificate is not None
    gated = HttpGate(app, Gate.of(access), Permission.HAND_OFF)
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        listener = socket.create_server(("127.0.0.1", 0))
        async with openai_port(gated, listener, 1, certificate.context()):
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"


async def asked(url: str, authority: trustme.CA, client: trustme.LeafCert | None = None, key: str = "") -> Any:
    """Ask on a connection of its own, trusting this authority; return the response."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if client is not None:
        client.configure_cert(context)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(verify=context, headers=headers) as http:
        return await http.get(url)


async def test_it_speaks_tls_and_nothing_else(certificates: Certificates) -> None:
    async with served(certificates) as url:
        assert (await asked(url, certificates.authority)).text == "https"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await asked(url, trustme.CA())
        with pytest.raises(httpx.HTTPError):
            await asked(url.replace("https", "http"), certificates.authority)


async def test_a_renewed_certificate_counts_from_the_next_connection_on(certificates: Certificates) -> None:
    other = trustme.CA()
    async with served(certificates) as url:
        assert (await asked(url, certificates.authority)).text == "https"
        certificates.renew(other)
        assert (await asked(url, other)).text == "https"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await asked(url, certificates.authority)


async def test_half_a_renewal_changes_nothing(certificates: Certificates) -> None:
    async with served(certificates) as url:
        certificates.cert.write_bytes(trustme.CA().issue_cert("127.0.0.1").cert_chain_pems[0].bytes())
        assert (await asked(url, certificates.authority)).text == "https"


async def test_with_mtls_it_asks_for_a_certificate_and_its_name_says_who_it_is(
    certificates: Certificates, tmp_path: Path
) -> None:
    callers = callers_file(tmp_path, 'name = "web"\ncertificate = "web.internal"', with_key("key", "app"))
    ours, unknown = (certificates.authority.issue_cert(name) for name in ("web.internal", "other.internal"))
    async with served(certificates, tls_client_ca=certificates.client_ca, callers=callers) as url:
        assert (await asked(url, certificates.authority, ours)).text == "https"
        assert (await asked(url, certificates.authority, unknown)).json()["error"]["type"] == "UNAUTHENTICATED"
        assert (await asked(url, certificates.authority, unknown, "key")).text == "https"
        for nobody in (None, trustme.CA().issue_cert("web.internal")):
            with pytest.raises(httpx.HTTPError):
                await asked(url, certificates.authority, nobody)


async def test_where_only_certificates_count_a_token_is_nothing(certificates: Certificates) -> None:
    ours = certificates.authority.issue_cert("web.internal")
    async with served(certificates, tls_client_ca=certificates.client_ca) as url:
        assert (await asked(url, certificates.authority, ours, "none")).text == "https", (
            "openai-python always sends one"
        )


async def test_an_authority_that_is_replaced_lets_nobody_in_any_more(certificates: Certificates) -> None:
    ours, other = certificates.authority.issue_cert("web.internal"), trustme.CA()
    async with served(certificates, tls_client_ca=certificates.client_ca) as url:
        assert (await asked(url, certificates.authority, ours)).text == "https"
        other.cert_pem.write_to_path(certificates.client_ca)
        with pytest.raises(httpx.HTTPError):
            await asked(url, certificates.authority, ours)
        assert (await asked(url, certificates.authority, other.issue_cert("web.internal"))).text == "https"


async def test_a_connection_from_before_is_not_resumed(certificates: Certificates) -> None:
    context = ssl.create_default_context()
    certificates.authority.configure_trust(context)
    certificates.authority.issue_cert("web.internal").configure_cert(context)

    def ask(port: int, session: ssl.SSLSession | None = None) -> tuple[ssl.SSLSession | None, bool, bytes]:
        """Ask, and end in good order, so that the connection could be resumed."""
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_TO_GIVE_UP) as plain:
            connection = context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            answer = b""
            with suppress(OSError):  # a client of TLS 1.3 may have ended its part of the handshake by then
                while part := connection.recv(1000):
                    answer += part
            found, reused = connection.session, bool(connection.session_reused)
            with suppress(OSError):
                connection.unwrap()
            return found, reused, answer

    async with served(certificates, tls_client_ca=certificates.client_ca) as url:
        port = int(url.rpartition(":")[2])
        session, _, answer = await asyncio.to_thread(ask, port)
        assert b"200 OK" in answer
        session, reused, answer = await asyncio.to_thread(ask, port, session)
        assert b"200 OK" in answer
        assert not reused, "every connection has to show its certificate"
        trustme.CA().cert_pem.write_to_path(certificates.client_ca)
        assert (await asyncio.to_thread(ask, port, session))[2] == b""


async def test_tls_1_2_which_would_resume_is_not_spoken(certificates: Certificates) -> None:
    context = ssl.create_default_context()
    certificates.authority.configure_trust(context)

    def connect(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_TO_GIVE_UP) as plain:
            context.wrap_socket(plain, server_hostname="127.0.0.1").close()

    async with served(certificates) as url:
        port = int(url.rpartition(":")[2])
        await asyncio.to_thread(connect, port)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(connect, port)


async def test_a_client_that_stays_connected_and_reads_nothing_holds_up_no_stop(certificates: Certificates) -> None:
    context = ssl.create_default_context()
    certificates.authority.configure_trust(context)

    def connected(port: int) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", port), timeout=SECONDS_TO_GIVE_UP)
        connection = context.wrap_socket(plain, server_hostname="127.0.0.1")
        connection.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert b"200 OK" in connection.recv(1000)
        return connection

    certificate = ServerCertificate(certificates.cert, certificates.key, None)
    listener = socket.create_server(("127.0.0.1", 0))
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        endless = 10 * SECONDS_TO_GIVE_UP
        async with openai_port(app, listener, endless, certificate.context(), head_seconds=endless):
            idle = await asyncio.to_thread(connected, listener.getsockname()[1])
    idle.close()


def test_files_that_do_not_fit_together_are_told_at_once(certificates: Certificates) -> None:
    certificates.cert.write_bytes(trustme.CA().issue_cert("127.0.0.1").cert_chain_pems[0].bytes())
    with pytest.raises(SettingsFileError, match="do not fit together"):
        ServerCertificate(certificates.cert, certificates.key, None).context()


@pytest.mark.parametrize("by", ["the environment", "an argument"])
async def test_callers_and_a_key_of_vllm_exclude_each_other(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"openai_args": {"api_key": ["secret"]}} if by == "an argument" else {}
    if by == "the environment":
        monkeypatch.setenv("VLLM_API_KEY", "secret")
    settings = Settings(openai_port=0, callers=callers_file(tmp_path, with_key("key")), **given)
    with pytest.raises(EngineStartError, match="unset VLLM_API_KEY"):
        async with openai_api([FakeEngine()], settings, Gate.of(settings.access)):
            raise AssertionError("it is not served")
