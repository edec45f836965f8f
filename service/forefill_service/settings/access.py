"""Settings of who gets in, and of how much one caller may have."""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from .group import Group


class AccessSettings(Group):
    """Who gets in. On a loopback address everybody does, unless this says more."""

    insecure: bool = Field(
        False,
        description="serve on an address that is not loopback although TLS, or credentials of callers, are missing; "
        "for networks that a mesh or a proxy protects",
    )
    tls_cert: Path | None = Field(
        None, description="PEM file of the server's certificate with its chain; replaced files count at once"
    )
    tls_key: Path | None = Field(None, description="PEM file of the certificate's key, without a password")
    tls_client_ca: Path | None = Field(
        None, description="PEM file of the authorities whose client certificates are let in (mTLS); others are not"
    )
    callers: Path | None = Field(
        None,
        description="TOML file of those who are let in: names, hashed API keys or names of certificates, tenants, "
        "permissions; replaced files count at once",
    )
    jwt_keys: str = Field(
        "",
        description="file or https:// address of the public keys (JWKS) of an issuer whose JSON Web Tokens let their "
        "bearers in",
    )
    jwt_issuer: str = Field("", description="issuer that tokens must name (iss)")
    jwt_audience: str = Field("", description="audience that tokens must name (aud)")
    jwt_tenant_claim: str = Field("", description="claim of a token that names the tenant, which then must be there")
    jwt_scope_prefix: str = Field(
        "",
        description="begin of the words in a token's scope that are permissions here, such as forefill. for "
        "forefill.compose (default: tokens name no permissions, and have the usual ones)",
    )
    tenant_metadata_key: str = Field(
        "",
        description="gRPC metadata key in which a proxy names the tenant (default: tenants are those of callers, or "
        "there is one for all); it counts from callers with the permission name-tenant",
    )
    cache_salt_secret: SecretStr = Field(
        SecretStr(""),
        description="secret that goes into the cache salts of tenants, so that nobody can guess one; the same for all "
        "copies of this server in front of the same engines; better set as FOREFILL_CACHE_SALT_SECRET",
    )
    cache_scope: Literal["shared", "session"] = Field(
        "shared",
        description="which sessions share cached blocks if a client does not say: shared, all of a tenant, which can "
        "then find out by counts and times whether another's text begins like theirs; session, none",
    )
    reflection: bool = Field(
        True, description="tell callers with the permission reflection which services there are (gRPC reflection)"
    )

    @property
    def knows_callers(self) -> bool:
        """Whether credentials are asked for."""
        return bool(self.tls_client_ca or self.callers or self.jwt_keys)

    @property
    def may_have_tenants(self) -> bool:
        """Whether sessions of different tenants may come."""
        return bool(self.tenant_metadata_key or self.callers or (self.jwt_keys and self.jwt_tenant_claim))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_cert is None) is not (self.tls_key is None):
            raise ValueError("--tls-cert and --tls-key belong together")
        if self.tls_client_ca and not self.tls_cert:
            raise ValueError("--tls-client-ca needs --tls-cert and --tls-key")
        if self.jwt_keys and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("--jwt-keys needs --jwt-issuer and --jwt-audience")
        if self.jwt_keys.startswith("http://"):
            raise ValueError("--jwt-keys takes a file or an https:// address: who changes the keys gets in")
        if self.tenant_metadata_key and self.tenant_metadata_key != self.tenant_metadata_key.lower():
            raise ValueError("--tenant-metadata-key takes a name in lower case, as gRPC sends it")
        if self.tenant_metadata_key and not (self.insecure or self.callers):
            raise ValueError(
                "--tenant-metadata-key believes a proxy: give it credentials and the permission name-tenant with "
                "--callers, or say --insecure if nobody else reaches this address"
            )
        return self

    @property
    def http_scheme(self) -> str:
        """How the addresses of HTTP ports begin that are served as streams are."""
        return "https" if self.tls_cert else "http"

    def check_address(self, host: str) -> None:
        """Raise ValueError if everybody in a network could get in, or read along, without a word of the operator."""
        if self.insecure or is_loopback(host):
            return
        missing = [
            name
            for name, there in (
                ("TLS (--tls-cert, --tls-key)", self.tls_cert),
                ("credentials (--callers, --jwt-keys or --tls-client-ca)", self.knows_callers),
            )
            if not there
        ]
        if missing:
            raise ValueError(f"--host {host} is not loopback and needs {' and '.join(missing)}, or --insecure")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class LimitSettings(Group):
    """How much a caller and a session may have. Callers without names have all."""

    sessions_per_caller: int = Field(
        0, ge=0, description="most sessions that one caller may have open (default: half of --max-sessions)"
    )
    opens_per_second: float = Field(
        50, gt=0, description="sessions a second that one caller may open, after as many at once as it may have open"
    )
    events_per_second: float = Field(
        500,
        gt=0,
        description="events a second that are read from one session, after ten times as many at once; one that has an "
        "answer made, or a conversation rendered, counts as 100; a flush counts as 1 more for each 1024 code points "
        "of its draft, and long text that is typed or pasted for each of its own",
    )
    events_per_second_per_caller: float = Field(
        5000,
        gt=0,
        description="events a second that are read from all sessions of one caller, after as many at once; more stay "
        "unread until it is their turn",
    )
    answers_per_caller: int = Field(
        64, ge=1, description="most answers of one caller that an engine generates at once; more wait for their turn"
    )
    tokens_per_minute: int = Field(
        0,
        ge=0,
        description="tokens a minute that engines compute or generate for one caller, after as many at once, what is "
        "done ahead included; with none left, SUBMITs are refused and nothing is done ahead (default: no limit)",
    )
    idle_seconds: float = Field(
        3600, gt=0, alias="session_idle_seconds", description="end a session that has sent nothing for this long"
    )
    age_seconds: float = Field(
        86400,
        gt=0,
        alias="session_age_seconds",
        description="tell a session that is this old to open again (GoAway), and end it when no answer runs",
    )
