"""The file that names the callers of a server: their API keys, hashed, and their certificates.

    [[caller]]
    name = "web"                        # for limits, logs and metrics
    key_sha256 = "9f86d081884c7d65..."  # of the key; make both with forefill-server --new-api-key web
    tenant = "acme"                     # with whom it shares cached blocks; default: all that have none
    permissions = ["compose"]           # default: compose, hand-off, reflection
    expires = 2027-01-01T00:00:00Z      # default: never

    [[caller]]
    name = "proxy"
    certificate = "proxy.internal"      # a name in its client certificate: common name, DNS name or URI
    permissions = ["compose", "name-tenant"]

A key has 256 random bits, so a plain hash keeps it safe. Several entries may have one name: an old key and a new one.
"""

import hashlib
import json
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ..errors import SettingsFileError
from .caller import USUAL, Caller, Permission

KEY_PREFIX = "ffk_"
"""So that scanners for leaked secrets can find keys."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    key_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    certificate: Annotated[str, StringConstraints(min_length=1)] | None = None
    tenant: Annotated[str, StringConstraints(max_length=200)] = ""
    permissions: frozenset[Permission] = USUAL
    expires: AwareDatetime | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.key_sha256 is None) is (self.certificate is None):
            raise ValueError("give either key_sha256 or certificate")
        return self

    @property
    def caller(self) -> Caller:
        expires_at = None if self.expires is None else self.expires.timestamp()
        return Caller(self.name, self.tenant, self.permissions, expires_at)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    caller: list[_Entry] = Field(min_length=1)


class Callers:
    """The callers that a file names, to be found by a key or by the names of a certificate."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._by_hash: Mapping[str, Caller] = {entry.key_sha256: entry.caller for entry in entries if entry.key_sha256}
        self._by_certificate: Mapping[str, Caller] = {
            entry.certificate: entry.caller for entry in entries if entry.certificate
        }
        self.have_tenants = any(entry.tenant or Permission.NAME_TENANT in entry.permissions for entry in entries)

    @classmethod
    def read(cls, path: Path) -> "Callers":
        """Read a callers file. Raises SettingsFileError with what is wrong in it, but none of its values."""
        try:
            entries = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).caller
        except OSError as error:
            raise SettingsFileError(f"cannot read {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsFileError(f"{path} is not TOML: {type(error).__name__}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
            complaint = first["msg"].removeprefix("Value error, ")
            raise SettingsFileError(f"{path}: {where or 'file'}: {complaint}") from None
        proofs = [entry.key_sha256 or entry.certificate for entry in entries]
        if len(set(proofs)) < len(proofs):
            raise SettingsFileError(f"{path}: two callers have the same key or certificate")
        return cls(entries)

    def with_key(self, key: str) -> Caller | None:
        """Return the caller that has a key."""
        return self._by_hash.get(hash_of(key))

    def with_certificate(self, names: Sequence[str]) -> Caller | None:
        """Return the caller that has a certificate of these names."""
        return next((self._by_certificate[name] for name in names if name in self._by_certificate), None)


def hash_of(key: str) -> str:
    """Return the hash of a key as a callers file has it."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def new_api_key(name: str) -> str:
    """Return a new key and the entry of a callers file for it, as text for people."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    today = datetime.now(UTC).date().isoformat()
    quoted = json.dumps(name, ensure_ascii=False)  # TOML escapes as JSON does
    entry = f'[[caller]]  # made {today}\nname = {quoted}\nkey_sha256 = "{hash_of(key)}"\n'
    return f"key, for the caller (it is shown only now): {key}\nentry, for the file of --callers:\n\n{entry}"
