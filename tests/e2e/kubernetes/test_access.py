"""The chart with TLS and callers from Secrets: who gets in, and who does not."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
import trustme
from forefill_client import AsyncClient, NotAuthenticated, NotReachable

from tests.e2e.kubernetes.conftest import Render
from tests.support.callers import with_key
from tests.support.kubelet import NAMESPACE, RELEASE, Cluster
from tests.support.kubelet.objects import Manifest, secret

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAME = f"{RELEASE}-forefill"
HOST = f"{NAME}.{NAMESPACE}.svc"
AUTHORITY = trustme.CA()
ACCESS = {
    "engine": {"kind": "fake"},
    "replicaCount": 1,
    "access": {"tls": {"secretName": "tls"}, "callers": {"secretName": "callers"}},
}


def secrets() -> list[Manifest]:
    """What an operator makes before the chart is installed."""
    leaf = AUTHORITY.issue_cert(HOST)
    chain = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
    return [
        secret("tls", tls_crt=chain, tls_key=leaf.private_key_pem.bytes().decode()),
        secret("callers", callers_toml=f"[[caller]]\n{with_key('k3y')}"),
        secret("authority", ca_crt=AUTHORITY.cert_pem.bytes().decode()),
        {**secret("key"), "stringData": {"api-key": "k3y"}},
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(chart: Render) -> AsyncIterator[Cluster]:
    async with Cluster() as cluster:
        await cluster.roll_out(chart(**ACCESS).without_hooks().plus(*secrets()))
        await cluster.until(lambda: bool(cluster.service(NAME).endpoints))
        yield cluster


def client(cluster: Cluster, authority: trustme.CA = AUTHORITY, api_key: str = "") -> AsyncClient:
    """A client outside of the cluster, which reaches the Service by its address."""
    options = [("grpc.ssl_target_name_override", HOST)]
    pem = authority.cert_pem.bytes()
    address = cluster.address(NAME, "grpc")
    return AsyncClient.connect(address, tls=pem, api_key=api_key, options=options, connect_timeout_seconds=5)


async def test_who_has_a_key_gets_in(cluster: Cluster) -> None:
    async with client(cluster, api_key="k3y") as connected, connected.session() as session:
        assert await (await session.submit("Who works tonight?")).text()


@pytest.mark.parametrize("api_key", ["", "other"])
async def test_who_has_none_is_refused(cluster: Cluster, api_key: str) -> None:
    async with AsyncExitStack() as stack:
        connected = await stack.enter_async_context(client(cluster, api_key=api_key))
        with pytest.raises(NotAuthenticated):
            await stack.enter_async_context(connected.session())


async def test_a_server_that_another_authority_vouches_for_is_not_trusted(cluster: Cluster) -> None:
    with pytest.raises(NotReachable):
        await client(cluster, trustme.CA(), api_key="k3y")


async def test_helms_test_brings_the_key_that_the_values_name(cluster: Cluster, chart: Render) -> None:
    test = {"apiKey": {"secretName": "key"}, "ca": {"secretName": "authority"}}
    [pod] = chart(**ACCESS, test=test).hooks("Pod")
    status, said = await cluster.run(pod)
    assert status == 0, said


async def test_helms_test_says_what_is_missing(cluster: Cluster, chart: Render) -> None:
    [pod] = chart(**ACCESS, test={"ca": {"secretName": "authority"}}).hooks("Pod")
    pod["metadata"]["name"] += "-without-key"
    status, said = await cluster.run(pod)
    assert status == 1
    assert "FOREFILL_API_KEY" in said
