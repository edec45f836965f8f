"""Certificates for tests, as PEM files that may be replaced."""

from dataclasses import dataclass
from pathlib import Path

import grpc
import trustme


@dataclass
class Certificates:
    """An authority, and the files of a server whose certificate it has signed."""

    folder: Path
    authority: trustme.CA

    @classmethod
    def new(cls, folder: Path) -> "Certificates":
        """Make an authority and the files of a server on 127.0.0.1."""
        made = cls(folder, trustme.CA())
        made.renew()
        made.authority.cert_pem.write_to_path(made.client_ca)
        return made

    @property
    def cert(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @property
    def client_ca(self) -> Path:
        return self.folder / "clients.pem"

    def renew(self, authority: trustme.CA | None = None) -> None:
        """Write a new certificate and its key, signed by this authority or another."""
        made = (authority or self.authority).issue_cert("127.0.0.1", "localhost")
        for path, data in (
            (self.cert, b"".join(blob.bytes() for blob in made.cert_chain_pems)),
            (self.key, made.private_key_pem.bytes()),
        ):
            new = path.with_suffix(".new")
            new.write_bytes(data)
            new.replace(path)

    def trusted(self, client: trustme.LeafCert | None = None) -> grpc.ChannelCredentials:
        """What a client needs that trusts the authority, and perhaps has a certificate of its own."""
        root = self.authority.cert_pem.bytes()
        if client is None:
            return grpc.ssl_channel_credentials(root)
        chain = b"".join(blob.bytes() for blob in client.cert_chain_pems)
        return grpc.ssl_channel_credentials(root, client.private_key_pem.bytes(), chain)
