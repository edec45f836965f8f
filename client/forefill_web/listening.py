"""Where the page is served, and the server of HTTP that serves it: uvicorn, in the running event loop."""

import argparse
import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from forefill_client.errors import ForefillError, InvalidRequest
from starlette.types import ASGIApp

from .bridge import Bridge
from .limits import BridgeLimits
from .origins import is_loopback

STOP_SECONDS: Final = 5
UNREAD_MILLISECONDS: Final = 30_000
"""A connection whose other end acknowledges nothing for so long is cut: else what waits to be read stays for ever."""
BACKLOG: Final = 128
CONNECTIONS: Final = 2 * BridgeLimits().sockets


@dataclass(frozen=True, slots=True)
class Listening:
    """An address, and the certificate of https."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    @property
    def scheme(self) -> str:
        """Its scheme."""
        return "http" if self.certificate is None else "https"


def listening_from(options: argparse.Namespace, *, has_key: bool) -> Listening:
    """Return what the flags ask for. Raises InvalidRequest if it is not safe, unless that is meant."""
    listening = Listening(options.host, options.port, options.listen_cert, options.listen_key)
    if (listening.certificate is None) is not (listening.key is None):
        raise InvalidRequest("give both --listen-cert and --listen-key, or neither")
    if listening.certificate is not None:
        _check_certificate(listening.certificate, listening.key)
    safe = listening.certificate is not None and has_key
    if not (is_loopback(listening.host) or safe or options.insecure):
        raise InvalidRequest(
            f"{listening.host} is reached from other machines: give --listen-cert, --listen-key and --access-key-file,"
            " or --insecure"
        )
    return listening


def _check_certificate(certificate: Path, key: Path | None) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise InvalidRequest(f"--listen-cert and --listen-key do not hold a certificate and its key: {error}") from None


async def serve(app: ASGIApp, listening: Listening, bridge: Bridge, listens: Callable[[str], None]) -> None:
    """Serve until this is cancelled, then close the sockets in good order; `listens` gets the address."""
    with _bound(listening) as bound:
        server = _Server(_config(app, listening))
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            async with bridge:
                try:
                    await server.listens_or(serving)
                    listens(_url(listening, bound))
                    await asyncio.shield(serving)
                finally:
                    server.should_exit = True
        finally:
            await serving
    raise ForefillError("the server of the page has ended")


def _config(app: ASGIApp, listening: Listening) -> uvicorn.Config:
    """Return uvicorn's settings: no log of requests, whose paths may hold the key, and no compression of secrets."""
    return uvicorn.Config(
        app,
        http="h11",
        ws="websockets-sansio",
        ws_max_size=BridgeLimits().message_bytes,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=listening.certificate,
        ssl_keyfile=listening.key,
    )


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: the program's end it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def listens_or(self, serving: "asyncio.Task[None]") -> None:
        """Wait until it listens; raises what ended it instead."""
        listens = asyncio.create_task(self._listens.wait())
        try:
            await asyncio.wait({listens, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listens.cancel()
        if serving.done():
            serving.result()


@contextlib.contextmanager
def _bound(listening: Listening) -> Iterator[socket.socket]:
    try:
        found = socket.getaddrinfo(listening.host, listening.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise InvalidRequest(f"--host {listening.host} is no address of this machine: {error}") from None
    family, _, _, _, address = found[0]
    with socket.create_server(address[:2], family=family, backlog=BACKLOG) as bound:
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)
        bound.setblocking(False)
        yield bound


def is_everywhere(host: str) -> bool:
    """Return whether this address means all of this machine's, so that no browser calls it by it."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _url(listening: Listening, bound: socket.socket) -> str:
    host = f"[{listening.host}]" if ":" in listening.host else listening.host
    return f"{listening.scheme}://{host}:{bound.getsockname()[1]}"
