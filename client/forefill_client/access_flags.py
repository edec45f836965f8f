"""The flags that say which server `forefill` talks to, how it is trusted, and how it knows its caller."""

import argparse
import os
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc

from .client import AsyncClient
from .connection import checked_metadata
from .errors import InvalidRequest, NotAuthenticated
from .options import Resume

DEFAULT_TARGET: Final = "127.0.0.1:50051"
API_KEY_VARIABLE: Final = "FOREFILL_API_KEY"
CONNECT_TIMEOUT_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A server, and what it is shown."""

    target: str
    credentials: grpc.ChannelCredentials | None = None
    """None for plain text."""
    server_name: str = ""
    """The name in the server's certificate; "" for that of the target."""
    api_key: str = field(default="", repr=False)
    key_from: str = ""
    """Where the key was found."""
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=(), repr=False)

    def connect(self, resume: Resume | None = None) -> AsyncClient:
        """Return a client of the server; without `resume`, its sessions end with their stream."""
        return AsyncClient.connect(
            self.target,
            connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            resume=resume,
            credentials=self.credentials,
            api_key=self.api_key,
            metadata=self.metadata,
            options=[("grpc.ssl_target_name_override", self.server_name)] if self.server_name else [],
        )

    @contextmanager
    def explaining(self) -> Generator[None, None, None]:
        """Have a NotAuthenticated of the block say which server refuses, and what its reader can do."""
        try:
            yield
        except NotAuthenticated as error:
            advice = (
                f"the key that was sent is that of {self.key_from}"
                if self.api_key
                else f"--api-key-file or {API_KEY_VARIABLE} gives a token, --tls-cert and --tls-key a certificate"
            )
            raise NotAuthenticated(f"{self.target}: {error} ({advice})", reason=error.reason) from None


def add(
    parser: argparse.ArgumentParser, *, default_target: str | None = DEFAULT_TARGET, about: str | None = None
) -> None:
    """Add the flags to a command, below the words `about` in its help; without a default target it starts a server."""
    group = parser.add_argument_group("the server", about)
    default = "start one" if default_target is None else "%(default)s"
    group.add_argument(
        "--target", default=default_target, metavar="HOST:PORT", help=f"address of the server (default: {default})"
    )
    group.add_argument(
        "--tls",
        action="store_true",
        help="connect with TLS, and trust the authorities of this system (default: plain text, unless another flag of"
        " TLS is given)",
    )
    group.add_argument(
        "--tls-ca",
        type=Path,
        metavar="FILE",
        help="connect with TLS, and trust only the authorities whose certificates are in this file (PEM)",
    )
    group.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="connect with TLS, and show this certificate (PEM) to the server"
    )
    group.add_argument(
        "--tls-key", type=Path, metavar="FILE", help="private key (PEM) of the certificate of --tls-cert"
    )
    group.add_argument(
        "--tls-server-name",
        default="",
        metavar="NAME",
        help="connect with TLS, and expect this name in the server's certificate (default: that of --target)",
    )
    group.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="send the API key or token in this file, as 'authorization: Bearer ...' (default: that of the environment"
        f" variable {API_KEY_VARIABLE}, if it is set). No flag takes the key itself, since others can read a command"
        " line",
    )
    group.add_argument(
        "--metadata",
        action="append",
        default=[],
        type=_pair,
        metavar="KEY=VALUE",
        help="send this gRPC metadata, for example what a gateway asks for; may be repeated",
    )


def access_from(options: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Access:
    """Return the server that the flags and the environment name; raises InvalidRequest, which says what is wrong."""
    api_key, key_from = _api_key(options.api_key_file, environment)
    return Access(
        target=options.target,
        credentials=_credentials(options),
        server_name=options.tls_server_name,
        api_key=api_key,
        key_from=key_from,
        metadata=checked_metadata(options.metadata),
    )


def check_named(options: argparse.Namespace, named: bool, by: str) -> None:
    """Raise InvalidRequest if flags say how to reach a server, but none is named; `by` is what would name it."""
    tls = options.tls or options.tls_ca or options.tls_cert or options.tls_key or options.tls_server_name
    if not named and (tls or options.api_key_file or options.metadata):
        raise InvalidRequest(f"TLS, keys and metadata are for a server that is named: give {by}, too")


def _credentials(options: argparse.Namespace) -> grpc.ChannelCredentials | None:
    certificate, key = options.tls_cert, options.tls_key
    if (certificate is None) is not (key is None):
        raise InvalidRequest("give both --tls-cert and --tls-key, or neither")
    if not (options.tls or options.tls_ca or certificate or options.tls_server_name):
        return None
    authorities = _authorities(options.tls_ca) if options.tls_ca else None
    if certificate is None:
        return grpc.ssl_channel_credentials(authorities)
    key_pem, certificate_pem = _own(certificate, key)
    return grpc.ssl_channel_credentials(authorities, key_pem, certificate_pem)


def _authorities(path: Path) -> bytes:
    pem = _read(path, "--tls-ca")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        raise InvalidRequest(f"{path} holds no certificates: give --tls-ca a PEM file with some ({error})") from None
    return pem


def _own(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """Return the PEM of the key and of its certificate. gRPC would say less of those that it cannot use."""
    pems = _read(key, "--tls-key"), _read(certificate, "--tls-cert")

    def encrypted() -> str:
        raise InvalidRequest(f"{key} is encrypted: give --tls-key a key without a password")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, encrypted)
    except ssl.SSLError as error:
        raise InvalidRequest(
            f"{certificate} and {key} are not a certificate and its key: give --tls-cert and --tls-key PEM files that"
            f" belong together ({error})"
        ) from None
    return pems


def key_in(variable: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the API key in a variable of the environment, "" if there is none; raises InvalidRequest."""
    key = environment.get(variable, "").strip()
    return _checked_key(key, variable) if key else ""


def _api_key(path: Path | None, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the key, and where it was found; "" twice if there is none."""
    if path is None:
        key = key_in(API_KEY_VARIABLE, environment)
        return key, API_KEY_VARIABLE if key else ""
    return _checked_key(_read(path, "--api-key-file").decode("utf-8", "replace").strip(), str(path)), str(path)


def _checked_key(key: str, key_from: str) -> str:
    if not key or not key.isascii() or not key.isprintable():
        raise InvalidRequest(f"{key_from} holds no API key: it must be one line of printable ASCII text")
    return key


def _read(path: Path, flag: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}: give {flag} a file that can be read") from None


def _pair(value: str) -> tuple[str, str]:
    key, equals, text = value.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"give KEY=VALUE, not {value!r}")
    if key == "authorization":
        raise argparse.ArgumentTypeError(f"others can read a command line: use --api-key-file or {API_KEY_VARIABLE}")
    return key, text
