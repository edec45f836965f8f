"""TLS: the certificate of the server, which may be renewed, and those of its clients."""

from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_client import AsyncClient, NotReachable

from tests.support.callers import callers_file, refusal, typing_with
from tests.support.certificates import Certificates
from tests.support.served import SETTINGS, TEXT, changed, served
from tests.support.wire import Typist


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates.new(tmp_path)


def tls(certificates: Certificates, **others: Any) -> Any:
    return changed(SETTINGS, tls_cert=certificates.cert, tls_key=certificates.key, **others)


async def test_a_server_with_a_certificate_speaks_tls_and_nothing_else(certificates: Certificates) -> None:
    async with served(settings=tls(certificates)) as server:
        root = certificates.authority.cert_pem.bytes()
        async with AsyncClient.connect(server.address, tls=root) as client, client.session() as session:
            await session.type(TEXT)
            assert await (await session.submit()).text()
        with pytest.raises(NotReachable):
            async with AsyncClient.connect(server.address, connect_timeout_seconds=1) as plain, plain.session():
                pass


async def test_a_renewed_certificate_counts_at_once_and_streams_that_are_open_go_on(certificates: Certificates) -> None:
    other = trustme.CA()
    async with (
        served(settings=tls(certificates)) as server,
        grpc.aio.secure_channel(server.address, certificates.trusted()) as channel,
        typing_with(channel) as typist,
    ):
        certificates.renew(other)
        trusts_other = grpc.ssl_channel_credentials(other.cert_pem.bytes())
        async with grpc.aio.secure_channel(server.address, trusts_other) as later, typing_with(later) as second:
            await second.type(TEXT)
            assert (await second.submit()).text
        await typist.type(TEXT)
        assert (await typist.submit()).text


async def test_half_a_renewal_changes_nothing(certificates: Certificates) -> None:
    async with served(settings=tls(certificates)) as server:
        certificates.cert.write_bytes(trustme.CA().issue_cert("127.0.0.1").cert_chain_pems[0].bytes())
        async with (
            grpc.aio.secure_channel(server.address, certificates.trusted()) as channel,
            typing_with(channel) as typist,
        ):
            await typist.type(TEXT)


async def test_with_mtls_only_clients_with_a_certificate_of_the_authority_get_in(certificates: Certificates) -> None:
    ours = certificates.authority.issue_cert("web.internal", common_name="web")
    async with served(settings=tls(certificates, tls_client_ca=certificates.client_ca)) as server:
        async with (
            grpc.aio.secure_channel(server.address, certificates.trusted(ours)) as channel,
            typing_with(channel) as typist,
        ):
            await typist.type(TEXT)
        for client in (None, trustme.CA().issue_cert("web.internal")):
            async with grpc.aio.secure_channel(server.address, certificates.trusted(client)) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await Typist(KeystrokeServiceStub(channel).Compose()).read()
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE, "the handshake fails"


async def test_the_name_in_a_certificate_says_who_it_is(certificates: Certificates, tmp_path: Path) -> None:
    callers = callers_file(tmp_path, 'name = "web"\ncertificate = "web.internal"')
    settings = tls(certificates, tls_client_ca=certificates.client_ca, callers=callers)
    async with served(settings=settings) as server:
        for name, reason in (("web.internal", ""), ("other.internal", "UNAUTHENTICATED")):
            leaf = certificates.authority.issue_cert(name)
            async with grpc.aio.secure_channel(server.address, certificates.trusted(leaf)) as channel:
                if reason:
                    assert (await refusal(channel))[1] == reason
                else:
                    async with typing_with(channel) as typist:
                        await typist.type(TEXT)
