"""A client believes only the authorities that it names."""

from pathlib import Path

import pytest
import trustme
from forefill_client import AsyncClient, NotReachable

from tests.support.certificates import Certificates
from tests.support.served import SETTINGS, TEXT, changed, served


async def test_a_server_of_another_authority_gets_nothing(tmp_path: Path) -> None:
    ours = Certificates.new(tmp_path)
    theirs = trustme.CA().cert_pem.bytes()
    async with served(settings=changed(SETTINGS, tls_cert=ours.cert, tls_key=ours.key)) as server:
        with pytest.raises(NotReachable):
            await AsyncClient.connect(server.address, tls=theirs, connect_timeout_seconds=1)
        assert not server.running.servicer.streams
        trusted = ours.authority.cert_pem.bytes()
        async with AsyncClient.connect(server.address, tls=trusted) as client, client.session() as session:
            await session.type(TEXT)
