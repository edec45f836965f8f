"""The health service alone, in plaintext, on a port of its own: for probes that have no certificate and no token.

It answers as soon as an engine has started: it is closed before, which a startup probe takes for "not yet". It shares
the event loop with the streams: if that hangs, no probe is answered.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2_grpc

from ..settings import Settings
from ..wire.health import Health, Vitals
from .address import ListenError, address_of

LAST_WORD_SECONDS = 0.5
_OPTIONS = (
    # A watcher that is frozen or gone leaves its place within a minute.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", 4096),
    ("grpc.so_reuseport", 0),
)


@asynccontextmanager
async def health_port(vitals: Vitals, settings: Settings) -> AsyncIterator[str]:
    """Serve the health service for the duration of the block; yield the address, "" if the port is disabled.

    Raises ListenError.
    """
    observability = settings.observability
    host, port = observability.health_host or settings.server.host, observability.health_port
    if port < 0:
        yield ""
        return
    server, health = grpc.aio.server(options=_OPTIONS), Health(vitals)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    try:
        port = server.add_insecure_port(address_of(host, port))
    except RuntimeError as error:
        raise ListenError(host, port, "--health-port", " for the health service") from error
    await server.start()
    try:
        yield address_of(host, port)
    finally:
        health.end()
        await server.stop(LAST_WORD_SECONDS)
