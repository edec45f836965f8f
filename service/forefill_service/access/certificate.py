"""The certificate of this server, and of which authority those of its clients must be; both may change as it runs."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from ..errors import SettingsFileError
from ..settings import AccessSettings
from .changing_file import ChangingFiles


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """PEM files: the certificate with its chain, its key, and the authorities of client certificates (None: not asked).

    Files that are replaced count from the next handshake on.
    """

    chain: Path
    key: Path
    client_authorities: Path | None

    @classmethod
    def of(cls, settings: AccessSettings) -> "ServerCertificate | None":
        """Return that of the settings, None without one."""
        if settings.tls_cert is None or settings.tls_key is None:
            return None
        return cls(settings.tls_cert, settings.tls_key, settings.tls_client_ca)

    def credentials(self) -> grpc.ServerCredentials:
        """Return them as gRPC takes them. Raises SettingsFileError if they cannot be used."""
        files = ChangingFiles(self._paths, self._read)

        def fetch() -> Any:  # None: as before
            return files.current if files.refresh() else None

        return grpc.dynamic_ssl_server_credentials(files.current, fetch, self.client_authorities is not None)

    def context(self) -> ssl.SSLContext:
        """Return them as Python's TLS takes them, from TLS 1.3 on. Raises SettingsFileError if they cannot be used."""
        files = ChangingFiles(self._paths, self._context)

        def renew(handshake: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _first: ssl.SSLContext) -> None:
            files.refresh()
            handshake.context = files.current

        first = files.current
        first.sni_callback = renew
        return first

    def check(self) -> None:
        """Raise SettingsFileError if the files cannot be used, before gRPC is asked to."""
        self._context()

    @property
    def _paths(self) -> list[Path]:
        return [path for path in (self.chain, self.key, self.client_authorities) if path is not None]

    def _context(self) -> ssl.SSLContext:
        for path in self._paths:
            if not os.access(path, os.R_OK):
                raise SettingsFileError(f"cannot read the TLS file {path}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Who resumes a session shows no certificate again. TLS 1.2 could not be kept from it.
        context.minimum_version, context.num_tickets = ssl.TLSVersion.TLSv1_3, 0
        try:
            context.load_cert_chain(self.chain, self.key, _no_password)
            if self.client_authorities is not None:
                context.load_verify_locations(self.client_authorities)
                context.verify_mode = ssl.CERT_REQUIRED
        except ssl.SSLError as error:
            raise SettingsFileError(f"the TLS files do not fit together: {error.reason or 'not in PEM form'}") from None
        except OSError as error:
            raise SettingsFileError(f"cannot read a TLS file: {error.strerror}") from None
        return context

    def _read(self) -> grpc.ServerCertificateConfiguration:
        self.check()
        try:
            authorities = None if self.client_authorities is None else self.client_authorities.read_bytes()
            pair = self.key.read_bytes(), self.chain.read_bytes()
        except OSError as error:
            raise SettingsFileError(f"cannot read a TLS file: {error.strerror}") from None
        return grpc.ssl_server_certificate_configuration([pair], authorities)


def _no_password() -> str:
    """Answer in place of a terminal: a key with a password is refused, and nobody is asked for it."""
    return ""
