"""The port of the sessions: how gRPC is set up for streams that live long and of which each says little."""

import resource

import grpc
from grpc_health.v1 import health_pb2_grpc

from ..access.certificate import ServerCertificate
from ..access.gate import Gate
from ..settings import Settings
from ..wire.health import Health
from ..wire.reflection import Reflection
from ..wire.servicer import SERVICE_NAME, KeystrokeServicer
from .address import ListenError, address_of

PING_SECONDS = 10
HANDSHAKE_SECONDS = 10
IDLE_CONNECTION_SECONDS = 300
BEYOND_BYTES = 64 * 1024
"""A message that is larger than `--max-message-bytes` by no more than this is refused with a reason.

Of a larger one gRPC reads the length alone, and ends the stream without a reason. To have one for all would let each
stream hold as much memory as the largest: a message arrives piece by piece, and may never be whole.
"""


def compose_server(
    servicer: KeystrokeServicer, healthy: Health, gate: Gate, settings: Settings
) -> tuple[grpc.aio.Server, int]:
    """Make the server of the sessions, with health and reflection beside them; return it and its port.

    Raises ListenError.
    """
    silent_ms = round(settings.server.silent_client_seconds * 1000)
    server = grpc.aio.server(
        options=[
            # Without these two a client may send megabytes that nothing has read yet.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", 16384),
            # All three are needed to notice a frozen client in time.
            ("grpc.keepalive_time_ms", silent_ms * 3 // 4),
            ("grpc.keepalive_timeout_ms", silent_ms // 4),
            ("grpc.http2.ping_timeout_ms", silent_ms // 4),
            ("grpc.http2.min_ping_interval_without_data_ms", PING_SECONDS * 1000),
            # Connections that say nothing, and those that have no stream.
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
            ("grpc.max_connection_idle_ms", IDLE_CONNECTION_SECONDS * 1000),
            ("grpc.max_allowed_incoming_connections", settings.server.max_connections or _half_of_the_files()),
            # A bit more than we take: gRPC refuses what is beyond without a reason, so we do it.
            ("grpc.max_receive_message_length", settings.server.max_message_bytes + BEYOND_BYTES),
            ("grpc.so_reuseport", 0),
        ]
    )
    servicer.add_to(server)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    access, address = settings.access, address_of(settings.server.host, settings.server.port)
    if access.reflection:
        Reflection(gate, settings, SERVICE_NAME).add_to(server)
    try:
        if (certificate := ServerCertificate.of(access)) is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, certificate.credentials())
    except RuntimeError as error:
        raise ListenError(settings.server.host, settings.server.port, "--port") from error
    return server, port


def _half_of_the_files() -> int:
    """Return how many connections leave files for health, metrics and the engines."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 - 1 if files == resource.RLIM_INFINITY else min(files // 2, 2**31 - 1)
