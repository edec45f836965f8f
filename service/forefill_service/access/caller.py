"""Who opens a stream, as the server has made sure of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    """What a caller may do. The values are those of a callers file and of a token's scope."""

    COMPOSE = "compose"
    """Open sessions."""
    HAND_OFF = "hand-off"
    """Be told where the engine is, and under which cache salt the session's blocks are."""
    REFLECTION = "reflection"
    """Ask which services there are."""
    NAME_TENANT = "name-tenant"
    """Name the tenant of a session in its metadata: for proxies."""


USUAL = frozenset({Permission.COMPOSE, Permission.HAND_OFF, Permission.REFLECTION})
"""What a caller may do of whom nothing else is said."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or a program, by the name that the operator or the issuer of its token gives it.

    `tenant` is "" if all callers share one cache. `expires_at` is in Unix seconds, None for never.
    """

    name: str
    tenant: str = ""
    permissions: frozenset[Permission] = USUAL
    expires_at: float | None = None

    @property
    def key(self) -> str:
        """Its name among all callers and tenants: through a proxy, each tenant is a caller of its own."""
        return f"{self.tenant}/{self.name}"

    @property
    def is_known(self) -> bool:
        """Whether the server tells this caller from others."""
        return bool(self.name or self.tenant)


ANYBODY = Caller("", permissions=USUAL | {Permission.NAME_TENANT})
"""The caller of every stream of a server that asks for no credentials."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a stream brings to prove who opens it.

    `certificate_names` are the names in a client certificate that was verified, the common name first. `tenants` are
    the values of the metadata in which a proxy names the tenant.
    """

    token: str | None = None
    certificate_names: Sequence[str] = ()
    tenants: Sequence[str] = ()

    @classmethod
    def of(
        cls, metadata: Sequence[tuple[str, str | bytes]], identity: Mapping[str, Sequence[bytes]], tenant_key: str
    ) -> "Credentials":
        """Read them from the metadata of a stream and gRPC's auth context; `tenant_key` is "" if no proxy is expected.

        A second `authorization`, or one that is no bearer token, is a token that nobody knows.
        """
        sent = [value for name, value in metadata if name == "authorization"]
        token = _bearer(sent[0]) if len(sent) == 1 else "" if sent else None
        names = [*identity.get("x509_common_name", ()), *identity.get("x509_subject_alternative_name", ())]
        return cls(
            token,
            tuple(name.decode("utf-8", "replace") for name in names if name),
            tuple(str(value) for name, value in metadata if tenant_key and name == tenant_key),
        )


def _bearer(value: str | bytes) -> str:
    kind, _, token = str(value).partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
