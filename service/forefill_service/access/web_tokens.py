"""Callers that bring a JSON Web Token, signed by an issuer whose public keys are in a file or at an address."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from ..errors import Reason, Refusal, SettingsFileError
from .caller import USUAL, Caller
from .changing_file import ChangingFiles

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Those with a private key: a shared secret would let whoever checks tokens make them."""
LEEWAY_SECONDS = 30
"""How far the clocks of issuer and server may be apart."""
FRESH_SECONDS = 300
"""How long keys of an address are used before they are fetched again."""
LEAST_SECONDS_BETWEEN = 10
"""Between two fetches, whatever tokens with unknown keys arrive."""
FETCH_SECONDS = 5
MOST_BYTES = 1_000_000

Fetch = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say, and where it says who its bearer is.

    `tenant_claim` is "" if tokens name no tenant; else a token without it is refused. Words of the claim `scope` that
    begin with `scope_prefix` are permissions here; "" if tokens name no permissions.
    """

    issuer: str
    audience: str
    tenant_claim: str = ""
    scope_prefix: str = ""


class WebTokens:
    """Makes callers of tokens."""

    def __init__(self, keys: "FileKeys | AddressKeys", rules: TokenRules) -> None:
        self._keys = keys
        self._rules = rules

    async def caller(self, token: str) -> Caller:
        """Return the caller that a token names. Raises Refusal."""
        try:
            header = jwt.get_unverified_header(token)
            key = await self._keys.of(str(header.get("kid", "")))
            if key is None:
                raise Refusal(Reason.UNAUTHENTICATED, "the token is signed with a key that is not the issuer's")
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "aud", "iss"]},
            )
        except jwt.ExpiredSignatureError:
            raise Refusal(Reason.CREDENTIALS_EXPIRED) from None
        except jwt.PyJWTError as error:
            raise Refusal(Reason.UNAUTHENTICATED, f"the token is not valid ({type(error).__name__})") from None
        return self._from_claims(claims)

    def _from_claims(self, claims: dict[str, Any]) -> Caller:
        rules = self._rules
        tenant = claims.get(rules.tenant_claim, "") if rules.tenant_claim else ""
        if rules.tenant_claim and not (isinstance(tenant, str) and tenant):
            raise Refusal(Reason.UNAUTHENTICATED, f"the token has no claim {rules.tenant_claim!r}")
        permissions = USUAL
        if rules.scope_prefix:
            scope = claims.get("scope", "")
            words = scope.split() if isinstance(scope, str) else ()
            permissions = frozenset(allowed for allowed in USUAL if f"{rules.scope_prefix}{allowed}" in words)
        return Caller(str(claims["sub"]), str(tenant), permissions, float(claims["exp"]) + LEEWAY_SECONDS)


def _key_set(data: bytes) -> jwt.PyJWKSet:
    """Read a JSON Web Key Set. Raises SettingsFileError."""
    try:
        return jwt.PyJWKSet.from_dict(json.loads(data))
    except (ValueError, AttributeError, TypeError, jwt.PyJWTError) as error:
        raise SettingsFileError(f"the keys of --jwt-keys are no JSON Web Key Set ({type(error).__name__})") from None


def _named(keys: jwt.PyJWKSet, key_id: str) -> jwt.PyJWK | None:
    """Return the key of a name; a token that names none gets the only one, if there is only one."""
    listed = list(keys.keys)
    if not key_id:
        return listed[0] if len(listed) == 1 else None
    return next((key for key in listed if key.key_id == key_id), None)


class FileKeys:
    """The public keys in a file, which may be replaced while the server runs. Raises SettingsFileError."""

    def __init__(self, path: Path) -> None:
        def read() -> jwt.PyJWKSet:
            try:
                return _key_set(path.read_bytes())
            except OSError as error:
                raise SettingsFileError(f"cannot read {path}: {error.strerror}") from error

        self._files = ChangingFiles([path], read)

    async def of(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of a name, None if there is none."""
        self._files.refresh()
        return _named(self._files.current, key_id)


class AddressKeys:
    """The public keys that an issuer publishes at an address.

    They are fetched when they are needed, again after some minutes or when a token names another key, and never more
    often than every few seconds. While the address does not answer, those known before stay in force.
    """

    def __init__(self, url: str, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._keys: jwt.PyJWKSet | None = None
        self._asked_at: float | None = None
        self._one_at_a_time = asyncio.Lock()

    async def of(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of a name, None if there is none."""
        async with self._one_at_a_time:
            known = self._known(key_id)
            age = float("inf") if self._asked_at is None else self._clock() - self._asked_at
            if age >= FRESH_SECONDS or (known is None and age >= LEAST_SECONDS_BETWEEN):
                await self._refresh()
                known = self._known(key_id)
            return known

    def _known(self, key_id: str) -> jwt.PyJWK | None:
        return None if self._keys is None else _named(self._keys, key_id)

    async def _refresh(self) -> None:
        self._asked_at = self._clock()
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = _key_set(await self._fetch(self._url))
        except (OSError, TimeoutError, SettingsFileError) as error:
            log.error("cannot fetch the keys of --jwt-keys (%s); the old ones stay in force", type(error).__name__)


async def fetch(url: str) -> bytes:
    """Fetch a small file from an address. Raises OSError."""
    import aiohttp

    with suppress(aiohttp.ClientPayloadError):
        async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as response:
            if response.status == 200:
                data = await response.content.read(MOST_BYTES + 1)
                if len(data) <= MOST_BYTES:
                    return data
    raise OSError("no keys there")
