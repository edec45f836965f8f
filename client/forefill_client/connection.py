"""The gRPC channel of a client: its address, its credentials, its metadata, and why no server can be reached."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, cast

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1 import keystroke_pb2_grpc as rpc

from .causes import cause_of
from .checks import checked_iterable
from .errors import InvalidRequest, NotReachable
from .session_key import SESSION_METADATA, hash_of_session_key


def _version() -> str:
    try:
        return version("forefill")
    except PackageNotFoundError:  # a source tree that was not installed
        return "0+unknown"


VERSION: Final = _version()

Metadata = Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]
"""Metadata of a gRPC call: names in lower case; bytes only for names that end in "-bin"."""

CHANNEL_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    # Together these three notice a frozen peer within 40 s. The server allows a ping every 10 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    # A user who stops to think sends nothing; pings must continue.
    ("grpc.http2.max_pings_without_data", 0),
    # gRPC's own retries of a stream that a stopping server refuses may spin, on the event loop, until it is gone (seen
    # with 1.85.1). Sessions go on by themselves, after a delay.
    ("grpc.enable_retries", 0),
    # Opened.limits bounds what we send; the server sends a few kilobytes at a time.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    # A server that is up again is tried within this time.
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.primary_user_agent", f"forefill-python/{VERSION}"),
)
PROBE_SECONDS: Final = 2.0
_PROBE: Final = "/grpc.health.v1.Health/Check"
_LOOPBACK: Final = ("127.", "localhost", "[::1]", "unix:")
_SCHEMES: Final = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:", "xds:")
_HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+):([0-9]{1,5})")
_NAME: Final = re.compile(r"[0-9a-z_.-]+")


def checked_target(target: str) -> str:
    """Return an address that gRPC can try, or raise InvalidRequest."""
    if not isinstance(target, str):
        raise InvalidRequest(f"target must be a str, not {target!r:.80}")
    if target.startswith(_SCHEMES):
        return target
    if "://" in target:
        raise InvalidRequest(
            f"{target!r} is no address of a gRPC server: give HOST:PORT, without {target.split(':')[0]}://"
        )
    found = _HOST_AND_PORT.fullmatch(target)
    if not found or int(found[2]) > 65535:
        raise InvalidRequest(f"{target!r} is no address of a gRPC server: give HOST:PORT, as in 127.0.0.1:50051")
    return target


def checked_metadata(metadata: Metadata) -> tuple[tuple[str, str | bytes], ...]:
    """Return metadata as gRPC takes it, or raise InvalidRequest."""
    try:
        listed = metadata.items() if isinstance(metadata, Mapping) else metadata
        pairs = tuple((name, value) for name, value in listed)
    except (TypeError, ValueError):
        raise InvalidRequest(f"metadata must be a dict, or a list of (name, value), not {metadata!r:.80}") from None
    for name, value in pairs:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name.startswith("grpc-"):
            raise InvalidRequest(f"metadata cannot have the name {name!r:.80}: use a-z 0-9 _ - . and not grpc-")
        binary = name.endswith("-bin")
        fits = (
            isinstance(value, bytes) if binary else isinstance(value, str) and value.isascii() and value.isprintable()
        )
        if not fits:
            kind = "bytes" if binary else "printable ASCII text"
            raise InvalidRequest(f"the metadata {name!r} must be {kind}")
    return pairs


class Connection:
    """A channel to one server, made when it is first used, in the event loop that runs then."""

    def __init__(
        self,
        target: str,
        *,
        timeout_seconds: float,
        credentials: grpc.ChannelCredentials | None,
        options: Sequence[tuple[str, Any]],
        interceptors: Sequence[grpc.aio.ClientInterceptor],
        metadata: Metadata,
        api_key: str | Callable[[], str],
        channel: grpc.aio.Channel | None,
    ) -> None:
        self.target = checked_target(target)
        self._timeout_seconds = timeout_seconds
        self._credentials = credentials
        self._options = tuple(checked_iterable(options, "options"))
        self._interceptors = list(checked_iterable(interceptors, "interceptors"))
        self._metadata = checked_metadata(metadata)
        self._api_key = api_key
        if not callable(api_key):
            self._key()  # so that one that cannot be sent is refused now
        self._channel = channel
        self._is_ours = channel is None
        self._closed = False

    async def ready(self) -> None:
        """Wait for the server. Raises NotReachable, with the cause, if there is none in time."""
        channel = self._used()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await channel.channel_ready()
        except TimeoutError:
            said = await _complaint(channel)
            cause = cause_of(said)
            since = f", since {cause.meaning}" if cause.meaning else ""
            raise NotReachable(
                f"no server answered at {self.target} within {self._timeout_seconds:g} s{since}: {cause.advice}"
                f"{f' ({said})' if said else ''}"
            ) from None

    def compose(self, requests: AsyncIterator[pb.ComposeRequest], session_key: str, metadata: Metadata = ()) -> Any:
        """Open a stream, with the metadata of the client and of one session."""
        stub = rpc.KeystrokeServiceStub(self._used())
        sent = (*self._key(), *self._metadata, *checked_metadata(metadata))
        if SESSION_METADATA not in dict(sent):
            sent = (*sent, (SESSION_METADATA, hash_of_session_key(session_key)))
        return stub.Compose(requests, metadata=sent)

    def _key(self) -> tuple[tuple[str, str | bytes], ...]:
        key = self._api_key() if callable(self._api_key) else self._api_key
        return checked_metadata([("authorization", f"Bearer {key}")]) if key else ()

    async def close(self) -> None:
        """Close the channel, unless it is somebody else's."""
        self._closed = True
        if self._channel is not None and self._is_ours:
            await self._channel.close()

    def _used(self) -> grpc.aio.Channel:
        if self._closed:
            raise NotReachable("the client is closed: make a new one with AsyncClient.connect")
        if self._channel is None:
            direct = (("grpc.enable_http_proxy", 0),) if self.target.startswith(_LOOPBACK) else ()
            options = list({**dict(CHANNEL_OPTIONS), **dict(direct), **dict(self._options)}.items())
            if self._credentials is None:
                self._channel = grpc.aio.insecure_channel(self.target, options, interceptors=self._interceptors)
            else:
                self._channel = grpc.aio.secure_channel(
                    self.target, self._credentials, options, interceptors=self._interceptors
                )
        return self._channel


async def _complaint(channel: grpc.aio.Channel) -> str:
    """Return what gRPC says of a call that does not wait for a connection; "" if there is one after all."""
    probe = cast("Callable[..., Awaitable[bytes]]", channel.unary_unary(_PROBE))
    try:
        await probe(b"", timeout=PROBE_SECONDS)
    except grpc.aio.AioRpcError as error:
        return " ".join((error.details() or "").split())
    return ""
