"""Who gets in: the caller that credentials prove, or a refusal."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import Reason, Refusal
from ..settings import AccessSettings
from .caller import ANYBODY, Caller, Credentials, Permission
from .callers_file import Callers
from .changing_file import ChangingFiles
from .web_tokens import AddressKeys, Fetch, FileKeys, TokenRules, WebTokens, fetch


class Gate:
    """Lets callers in.

    A token counts before a certificate: behind a proxy the token is the user's, and the certificate the proxy's. Where
    there are certificates alone, a token is nothing. If neither keys nor tokens nor certificates are asked for,
    everybody is `ANYBODY`. `now` is in Unix seconds.
    """

    def __init__(
        self,
        callers: ChangingFiles[Callers] | None = None,
        tokens: WebTokens | None = None,
        *,
        certificates: bool = False,
        takes_tenants: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._callers = callers
        self._tokens = tokens
        self._certificates = certificates
        self._takes_tenants = takes_tenants
        self.now = now

    @classmethod
    def of(cls, settings: AccessSettings, fetch: Fetch = fetch) -> "Gate":
        """Build what the settings ask for. Raises SettingsFileError if a file cannot be used."""
        callers = None
        if (path := settings.callers) is not None:
            callers = ChangingFiles([path], lambda: Callers.read(path))
        tokens = None
        if settings.jwt_keys:
            keys = (
                AddressKeys(settings.jwt_keys, fetch)
                if settings.jwt_keys.startswith("https://")
                else FileKeys(Path(settings.jwt_keys))
            )
            rules = TokenRules(
                settings.jwt_issuer, settings.jwt_audience, settings.jwt_tenant_claim, settings.jwt_scope_prefix
            )
            tokens = WebTokens(keys, rules)
        return cls(
            callers,
            tokens,
            certificates=settings.tls_client_ca is not None,
            takes_tenants=bool(settings.tenant_metadata_key),
        )

    @property
    def knows_callers(self) -> bool:
        """Whether it tells callers apart."""
        return self._callers is not None or self._tokens is not None or self._certificates

    async def admit(self, credentials: Credentials, permission: Permission) -> Caller:
        """Return the caller, who may do this. Raises Refusal."""
        caller = await self._caller(credentials)
        if self.has_expired(caller):
            raise Refusal(Reason.CREDENTIALS_EXPIRED)
        if permission not in caller.permissions:
            raise Refusal(Reason.PERMISSION_DENIED, f"{permission} is not among the permissions of {caller.name!r}")
        return caller

    def has_expired(self, caller: Caller) -> bool:
        """Whether what let a caller in counts no longer."""
        return caller.expires_at is not None and self.now() >= caller.expires_at

    def for_tenant(self, caller: Caller, credentials: Credentials) -> Caller:
        """Return the caller with the tenant that a proxy names, if it is one.

        Raises Refusal if a proxy names none, or more than one: then one of them is somebody else's word.
        """
        if not self._takes_tenants or Permission.NAME_TENANT not in caller.permissions:
            return caller
        if len(credentials.tenants) != 1 or not credentials.tenants[0]:
            raise Refusal(Reason.TENANT_UNKNOWN)
        return replace(caller, tenant=credentials.tenants[0])

    async def _caller(self, credentials: Credentials) -> Caller:
        if not self.knows_callers:
            return ANYBODY
        if self._callers is not None:
            self._callers.refresh()
        if credentials.token is not None and (self._callers is not None or self._tokens is not None):
            return await self._bearer(credentials.token)
        if self._certificates and credentials.certificate_names:
            return self._certified(credentials)
        raise Refusal(Reason.UNAUTHENTICATED)

    async def _bearer(self, token: str) -> Caller:
        if self._callers is not None and (known := self._callers.current.with_key(token)) is not None:
            return known
        if self._tokens is not None and token.count(".") == 2:
            return await self._tokens.caller(token)
        raise Refusal(Reason.UNAUTHENTICATED)

    def _certified(self, credentials: Credentials) -> Caller:
        names = credentials.certificate_names
        if self._callers is None:  # whoever has a certificate of that authority
            return Caller(names[0])
        if (known := self._callers.current.with_certificate(names)) is None:
            raise Refusal(Reason.UNAUTHENTICATED, "the client certificate is of no caller that the server knows")
        return known
