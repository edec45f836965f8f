"""What a user of a server with TLS and keys has: files, and a server that knows their key."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from forefill_service.access.callers_file import hash_of
from forefill_service.engine import FakeEngine

from .certificates import Certificates
from .client_program import forefill, output
from .served import SETTINGS, Served, changed, served

KEY = "a-key-of-the-web"


@dataclass(frozen=True)
class Files:
    """What its user has: an authority's certificates, a certificate of its own, and a key."""

    folder: Path
    certificates: Certificates

    @classmethod
    def new(cls, folder: Path) -> "Files":
        """Make them, and what others have."""
        files = cls(folder, Certificates.new(folder))
        mine = files.certificates.authority.issue_cert("web.internal")
        mine.cert_chain_pems[0].write_to_path(files / "mine.pem")
        mine.private_key_pem.write_to_path(files / "mine.key")
        trustme.CA().cert_pem.write_to_path(files / "other-ca.pem")
        (folder / "key.txt").write_text(f"{KEY}\n")
        (folder / "callers.toml").write_text(f'[[caller]]\nname = "web"\nkey_sha256 = "{hash_of(KEY)}"\n')
        return files

    def __truediv__(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def callers(self) -> str:
        """The file of a server that knows the key."""
        return self / "callers.toml"

    @property
    def with_authority(self) -> tuple[str, str]:
        """The flags with which a client trusts the server."""
        return "--tls-ca", self / "clients.pem"

    def served(self, engine: FakeEngine | None = None, **settings: Any) -> AbstractAsyncContextManager[Served]:
        """Serve with TLS."""
        tls = {"tls_cert": self.certificates.cert, "tls_key": self.certificates.key}
        return served(engine, changed(SETTINGS, **tls, **settings))


async def complaint(*arguments: str, **environment: str) -> str:
    """Run `forefill`; return the one line that it prints for people. gRPC may have lines of its own before it."""
    code, out, err = await output(await forefill(*arguments, **environment))
    assert (code, out) == (1, "")
    [line] = [line for line in err.splitlines() if line.startswith("forefill: ")]
    assert err.endswith(f"{line}\n")
    assert "Traceback" not in err
    assert KEY not in err
    return line
