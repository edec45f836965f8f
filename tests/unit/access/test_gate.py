"""Who gets in, as what."""

import os
from pathlib import Path
from typing import Any

import pytest
from forefill_service.access.caller import ANYBODY, Caller, Credentials, Permission
from forefill_service.access.callers_file import hash_of
from forefill_service.access.gate import Gate
from forefill_service.errors import Reason, Refusal, SettingsFileError
from forefill_service.settings import AccessSettings

from tests.support.issuer import AUDIENCE, ISSUER, Issuer

NOBODY = Credentials()
KEY = Credentials(token="key")
CERTIFICATE = Credentials(certificate_names=("proxy.internal",))


@pytest.fixture
def callers(tmp_path: Path) -> Path:
    path = tmp_path / "callers.toml"
    path.write_text(
        f'[[caller]]\nname = "web"\nkey_sha256 = "{hash_of("key")}"\ntenant = "acme"\npermissions = ["compose"]\n'
        '[[caller]]\nname = "proxy"\ncertificate = "proxy.internal"\npermissions = ["compose", "name-tenant"]\n'
    )
    return path


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def keys(tmp_path: Path, issuer: Issuer) -> Path:
    path = tmp_path / "keys.json"
    path.write_bytes(issuer.key_set())
    return path


def gate(**settings: Any) -> Gate:
    if settings.get("tls_client_ca"):
        settings |= {"tls_cert": __file__, "tls_key": __file__}
    if settings.get("jwt_keys"):
        settings |= {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
    return Gate.of(AccessSettings(**settings))


async def admitted(gate: Gate, credentials: Credentials) -> Caller:
    return await gate.admit(credentials, Permission.COMPOSE)


async def refused(gate: Gate, credentials: Credentials, permission: Permission = Permission.COMPOSE) -> Reason:
    with pytest.raises(Refusal) as raised:
        await gate.admit(credentials, permission)
    return raised.value.reason


async def test_if_nothing_is_asked_for_everybody_is_anybody() -> None:
    for credentials in (NOBODY, KEY, CERTIFICATE):
        assert await admitted(gate(), credentials) is ANYBODY
    assert not ANYBODY.is_known


async def test_who_brings_nothing_or_something_unknown_stays_outside(callers: Path, keys: Path) -> None:
    for door in (gate(callers=callers), gate(jwt_keys=str(keys)), gate(callers=callers, jwt_keys=str(keys))):
        for credentials in (NOBODY, Credentials(token=""), Credentials(token="other"), Credentials(token="a.b.c")):
            assert await refused(door, credentials) is Reason.UNAUTHENTICATED


async def test_a_key_of_the_file_lets_its_caller_in(callers: Path) -> None:
    caller = await admitted(gate(callers=callers), KEY)
    assert (caller.name, caller.tenant) == ("web", "acme")


async def test_a_certificate_counts_only_if_certificates_are_asked_for(callers: Path) -> None:
    assert await refused(gate(callers=callers), CERTIFICATE) is Reason.UNAUTHENTICATED
    assert (await admitted(gate(callers=callers, tls_client_ca=__file__), CERTIFICATE)).name == "proxy"


async def test_without_a_file_every_certificate_of_the_authority_is_a_caller_of_its_own() -> None:
    door = gate(tls_client_ca=__file__)
    assert (await admitted(door, CERTIFICATE)).name == "proxy.internal"
    assert (await admitted(door, Credentials(certificate_names=("b", "c")))).name == "b"
    assert await refused(door, NOBODY) is Reason.UNAUTHENTICATED


async def test_with_a_file_only_the_certificates_in_it_are_known(callers: Path) -> None:
    other = Credentials(certificate_names=("other.internal",))
    assert await refused(gate(callers=callers, tls_client_ca=__file__), other) is Reason.UNAUTHENTICATED


async def test_a_token_counts_before_the_certificate_of_the_proxy_that_passes_it_on(callers: Path) -> None:
    door = gate(callers=callers, tls_client_ca=__file__)
    both = Credentials(token="key", certificate_names=("proxy.internal",))
    assert (await admitted(door, both)).name == "web"
    wrong = Credentials(token="wrong", certificate_names=("proxy.internal",))
    assert await refused(door, wrong) is Reason.UNAUTHENTICATED, "a wrong token never falls back to a certificate"


async def test_tokens_and_keys_stand_side_by_side(callers: Path, keys: Path, issuer: Issuer) -> None:
    door = gate(callers=callers, jwt_keys=str(keys))
    assert (await admitted(door, KEY)).name == "web"
    assert (await admitted(door, Credentials(token=issuer.token("ada")))).name == "ada"


async def test_what_a_caller_may_not_do_is_refused_by_name(callers: Path) -> None:
    door = gate(callers=callers)
    assert await refused(door, KEY, Permission.REFLECTION) is Reason.PERMISSION_DENIED


async def test_a_key_that_is_taken_out_of_the_file_is_known_no_more(callers: Path) -> None:
    door = gate(callers=callers)
    await admitted(door, KEY)
    status = callers.stat()
    callers.write_text(callers.read_text().replace(hash_of("key"), hash_of("new")))
    os.utime(callers, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert await refused(door, KEY) is Reason.UNAUTHENTICATED
    assert (await admitted(door, Credentials(token="new"))).name == "web"


def test_a_file_that_cannot_be_read_is_refused_before_anybody_is_served(tmp_path: Path) -> None:
    with pytest.raises(SettingsFileError):
        gate(callers=tmp_path / "missing.toml")
    with pytest.raises(SettingsFileError):
        gate(jwt_keys=str(tmp_path / "missing.json"))


# --- tenants


async def test_a_proxy_names_the_tenant_and_nobody_else_does(callers: Path) -> None:
    door = gate(callers=callers, tls_client_ca=__file__, tenant_metadata_key="x-tenant")
    proxy, web = await admitted(door, CERTIFICATE), await admitted(door, KEY)
    named = Credentials(tenants=("bank",))
    assert door.for_tenant(proxy, named).tenant == "bank"
    assert door.for_tenant(web, named).tenant == "acme", "a caller's tenant is in the file, whatever it says"


@pytest.mark.parametrize("tenants", [(), ("",), ("a", "b")])
async def test_a_proxy_that_names_none_or_several_is_refused(tenants: tuple[str, ...]) -> None:
    door = gate(tenant_metadata_key="x-tenant", insecure=True)
    with pytest.raises(Refusal) as raised:
        door.for_tenant(ANYBODY, Credentials(tenants=tenants))
    assert raised.value.reason is Reason.TENANT_UNKNOWN


async def test_each_tenant_of_a_proxy_is_a_caller_of_its_own() -> None:
    door = gate(tenant_metadata_key="x-tenant", insecure=True)
    one, other = (door.for_tenant(ANYBODY, Credentials(tenants=(name,))) for name in ("a", "b"))
    assert one.key != other.key
    assert one.is_known
    assert gate().for_tenant(ANYBODY, Credentials(tenants=("a",))) is ANYBODY, "unless a proxy is expected"
