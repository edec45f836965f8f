"""JSON Web Tokens: which are good, whose they are, and how the keys that they are signed with are found."""

import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from forefill_service.access.caller import USUAL, Permission
from forefill_service.access.web_tokens import (
    FRESH_SECONDS,
    LEAST_SECONDS_BETWEEN,
    AddressKeys,
    FileKeys,
    TokenRules,
    WebTokens,
)
from forefill_service.errors import Reason, Refusal, SettingsFileError

from tests.support.hand_clock import HandClock
from tests.support.issuer import AUDIENCE, ISSUER, Issuer

RULES = TokenRules(ISSUER, AUDIENCE)


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def keys(issuer: Issuer, tmp_path: Path) -> FileKeys:
    path = tmp_path / "keys.json"
    path.write_bytes(issuer.key_set())
    return FileKeys(path)


async def refused(tokens: WebTokens, token: str) -> Refusal:
    with pytest.raises(Refusal) as raised:
        await tokens.caller(token)
    return raised.value


async def test_a_good_token_names_its_bearer(issuer: Issuer, keys: FileKeys) -> None:
    expires = int(time.time()) + 60
    caller = await WebTokens(keys, RULES).caller(issuer.token("ada", exp=expires))
    assert (caller.name, caller.tenant, caller.permissions) == ("ada", "", USUAL)
    assert caller.expires_at is not None
    assert expires <= caller.expires_at < expires + 60


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": int(time.time()) - 3600}, Reason.CREDENTIALS_EXPIRED),
        ({"exp": None}, Reason.UNAUTHENTICATED),
        ({"nbf": int(time.time()) + 3600}, Reason.UNAUTHENTICATED),
        ({"iss": "https://other.example"}, Reason.UNAUTHENTICATED),
        ({"iss": None}, Reason.UNAUTHENTICATED),
        ({"aud": "other"}, Reason.UNAUTHENTICATED),
        ({"aud": None}, Reason.UNAUTHENTICATED),
        ({"sub": None}, Reason.UNAUTHENTICATED),
        ({"sub": 7}, Reason.UNAUTHENTICATED),
    ],
)
async def test_a_token_that_lacks_something_is_refused(
    issuer: Issuer, keys: FileKeys, claims: dict[str, Any], reason: Reason
) -> None:
    refusal = await refused(WebTokens(keys, RULES), issuer.token(**claims))
    assert refusal.reason is reason
    assert "ada" not in str(refusal)


async def test_a_token_of_another_key_is_refused(keys: FileKeys) -> None:
    for other in (Issuer("k1"), Issuer("k2")):
        assert (await refused(WebTokens(keys, RULES), other.token())).reason is Reason.UNAUTHENTICATED


async def test_a_token_without_a_signature_or_with_a_shared_secret_is_refused(issuer: Issuer, keys: FileKeys) -> None:
    said = {"sub": "ada", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 60}
    unsigned = jwt.encode(said, "", algorithm="none", headers={"kid": issuer.key_id})
    shared = jwt.encode(said, "k" * 32, algorithm="HS256", headers={"kid": issuer.key_id})
    for token in (unsigned, shared, "a.b.c", "..", issuer.token()[:-5] + "AAAAA"):
        assert (await refused(WebTokens(keys, RULES), token)).reason is Reason.UNAUTHENTICATED


async def test_a_tenant_that_tokens_must_name_must_be_there(issuer: Issuer, keys: FileKeys) -> None:
    tokens = WebTokens(keys, TokenRules(ISSUER, AUDIENCE, tenant_claim="org"))
    assert (await tokens.caller(issuer.token(org="acme"))).tenant == "acme"
    for org in (None, "", 7, ["acme"]):
        assert (await refused(tokens, issuer.token(org=org))).reason is Reason.UNAUTHENTICATED


async def test_a_scope_names_permissions_but_never_that_to_name_tenants(issuer: Issuer, keys: FileKeys) -> None:
    tokens = WebTokens(keys, TokenRules(ISSUER, AUDIENCE, scope_prefix="forefill."))
    scope = "openid forefill.compose forefill.name-tenant compose"
    assert (await tokens.caller(issuer.token(scope=scope))).permissions == {Permission.COMPOSE}
    assert (await tokens.caller(issuer.token())).permissions == frozenset()


async def test_keys_in_a_file_may_be_replaced(issuer: Issuer, tmp_path: Path) -> None:
    path, new = tmp_path / "keys.json", Issuer("k2")
    path.write_bytes(issuer.key_set())
    tokens = WebTokens(FileKeys(path), RULES)
    await tokens.caller(issuer.token())
    path.write_bytes(new.key_set() + b"\n")
    await tokens.caller(new.token())
    assert (await refused(tokens, issuer.token())).reason is Reason.UNAUTHENTICATED


def test_a_file_without_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for text in ("", "{}", "[]", '{"keys": 7}', '{"keys": []}', "null"):
        path.write_text(text)
        with pytest.raises(SettingsFileError):
            FileKeys(path)


class Site:
    """An address with keys, which may fail."""

    def __init__(self, *issuers: Issuer) -> None:
        self.issuers = issuers
        self.fetches = 0
        self.down = False

    async def fetch(self, url: str) -> bytes:
        self.fetches += 1
        if self.down:
            raise OSError("down")
        return self.issuers[0].key_set()


async def test_keys_at_an_address_are_fetched_once_and_again_when_they_are_old(issuer: Issuer) -> None:
    site, clock = Site(issuer), HandClock()
    tokens = WebTokens(AddressKeys("https://a", site.fetch, clock), RULES)
    for _ in range(3):
        await tokens.caller(issuer.token())
    assert site.fetches == 1
    clock.now += FRESH_SECONDS
    await tokens.caller(issuer.token())
    assert site.fetches == 2


async def test_a_new_key_is_fetched_at_once_but_unknown_ones_cause_no_flood(issuer: Issuer) -> None:
    site, clock, new = Site(issuer), HandClock(), Issuer("k2")
    tokens = WebTokens(AddressKeys("https://a", site.fetch, clock), RULES)
    await tokens.caller(issuer.token())
    clock.now += LEAST_SECONDS_BETWEEN
    site.issuers = (new,)
    await tokens.caller(new.token())
    assert site.fetches == 2
    for _ in range(10):
        await refused(tokens, Issuer("nobody's").token())
    assert site.fetches == 2


async def test_while_the_address_is_down_the_keys_known_before_count(issuer: Issuer) -> None:
    site, clock = Site(issuer), HandClock()
    tokens = WebTokens(AddressKeys("https://a", site.fetch, clock), RULES)
    await tokens.caller(issuer.token())
    site.down = True
    clock.now += FRESH_SECONDS
    await tokens.caller(issuer.token())
    assert site.fetches == 2


async def test_keys_that_never_came_let_nobody_in(issuer: Issuer) -> None:
    site = Site(issuer)
    site.down = True
    tokens = WebTokens(AddressKeys("https://a", site.fetch, HandClock()), RULES)
    assert (await refused(tokens, issuer.token())).reason is Reason.UNAUTHENTICATED
