"""Which servers an endpoint trusts, and where its API key goes."""

import ssl
from pathlib import Path

import pytest
import trustme
from forefill_service.engine import FakeEngine
from forefill_service.engine.http.endpoint import Endpoint
from forefill_service.engine.http.patience import Patience
from forefill_service.errors import EngineRefused, EngineUnavailable

from tests.support.fake_vllm import WAIT_SECONDS, FakeVllm
from tests.support.remote_requests import PROMPT


async def test_certificates_of_ones_own_are_trusted_where_they_are_named_and_nowhere_else(tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = FakeVllm(FakeEngine())
    await server.start(tls=tls)
    trusting = Endpoint(server.url, ca_file=str(tmp_path / "ca.pem"), api_key="s3cret")
    wary = Endpoint(server.url)
    try:
        assert (await trusting.json("/v1/models", WAIT_SECONDS))["data"][0]["id"] == "fake"
        with pytest.raises(EngineUnavailable, match="no connection"):
            await wary.json("/v1/models", WAIT_SECONDS)
    finally:
        await trusting.close()
        await wary.close()
        await server.stop()


async def test_the_api_key_goes_with_every_request_and_into_no_message(server: FakeVllm) -> None:
    endpoint = Endpoint(server.url, api_key="s3cret", headers={"X-More": "1"})
    patience = Patience(WAIT_SECONDS, WAIT_SECONDS)
    lines = endpoint.lines("/v1/completions", {"prompt": PROMPT, "max_tokens": 1}, {}, patience)
    assert [line async for line in lines][-1] == b""
    assert server.headers[-1]["Authorization"] == "Bearer s3cret"
    assert server.headers[-1]["X-More"] == "1"
    server.faults.status = 401
    with pytest.raises(EngineRefused, match="FOREFILL_ENGINE_API_KEY") as refused:
        await endpoint.text("/v1/completions", WAIT_SECONDS, {"prompt": PROMPT, "max_tokens": 1})
    assert "s3cret" not in str(refused.value)
    await endpoint.close()
