"""The connection to a server."""

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import grpc
from forefill.v1 import keystroke_pb2_grpc as rpc

from .errors import NotReachable
from .options import CacheScope, MessageLike, PregenerationMode, Sampling, WarmMode, open_request
from .report import FlushResult
from .session import Session

CHANNEL_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    # Together these three notice a frozen peer within 40 s. The server allows a ping every 10 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    # A user who stops to think sends nothing; pings must continue.
    ("grpc.http2.max_pings_without_data", 0),
    # Opened.limits bounds what we send; the server sends a few kilobytes at a time.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
)
_LOOPBACK: Final = ("127.", "localhost", "[::1]", "unix:")


class AsyncClient:
    """A connection to one forefill server, for any number of sessions."""

    def __init__(self, target: str, channel: grpc.aio.Channel, connect_timeout_seconds: float) -> None:
        self._target = target
        self._channel = channel
        self._connect_timeout_seconds = connect_timeout_seconds
        self._stub = rpc.KeystrokeServiceStub(channel)

    @classmethod
    def connect(
        cls,
        target: str,
        *,
        connect_timeout_seconds: float = 10.0,
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ) -> Self:
        """Connect to `target`, such as "127.0.0.1:50051": `async with` the result, or await it and close() it later.

        Both wait up to `connect_timeout_seconds` for the server and then raise NotReachable. Without `credentials` the
        connection is plain text. `options` are gRPC channel options; they override the SDK's own.
        """
        direct = (("grpc.enable_http_proxy", 0),) if target.startswith(_LOOPBACK) else ()
        merged = list({**dict(CHANNEL_OPTIONS), **dict(direct), **dict(options)}.items())
        if credentials is None:
            channel = grpc.aio.insecure_channel(target, options=merged)
        else:
            channel = grpc.aio.secure_channel(target, credentials, options=merged)
        return cls(target, channel, connect_timeout_seconds)

    def session(
        self,
        messages: Iterable[MessageLike] = (),
        *,
        sampling: Sampling | None = None,
        draft: str = "",
        warm_mode: WarmMode = WarmMode.AUTO,
        cache_scope: CacheScope = CacheScope.SHARED,
        cache_secret: bytes = b"",
        session_key: str = "",
        resume_token: str = "",
        chat_template_kwargs: Mapping[str, Any] | None = None,
        pregeneration: PregenerationMode = PregenerationMode.AUTO,
        auto_flush: bool = True,
        on_flush: Callable[[FlushResult], None] | None = None,
    ) -> Session:
        """Make a session; `async with` opens it.

        Args:
            messages: The conversation before the draft, oldest first.
            sampling: How answers are sampled; default: the model's own defaults.
            draft: Text that is already in the user's box.
            warm_mode: WarmMode.OFF answers as plain vLLM would.
            cache_scope: CacheScope.SESSION shares cached blocks with no other session.
            cache_secret: 16 to 64 random bytes that tie CacheScope.SESSION to their holder: a later session that brings
                them, after a broken stream or tomorrow, finds what this one has cached.
            session_key: Name of the session for routers and logs: 1 to 128 of A-Z a-z 0-9 . _ -; default: made by the
                server.
            resume_token: `Session.opened.resume_token` of the session that this one continues, after a broken stream or
                at another copy of the server. With it, and with the same session_key and messages, the session finds
                what it has cached. The key is `Session.opened.session_id` if the server made it.
            chat_template_kwargs: Extra variables for the chat template, such as {"enable_thinking": False}.
            pregeneration: Whether answers may be generated before submit. The server holds them back, and uses one only
                if submit asks for exactly that prompt.
            auto_flush: Flush after each call that ends a word: with white space, with punctuation other than
                apostrophes and underscores, or with a character of a script without spaces, as Chinese and Thai. Within
                a long word, hex or base64 too, flush after every few characters. A call that ends several words, such
                as a paste, flushes once. False: flush only when `flush` is called.
            on_flush: Called with the result of each flush, in the event loop: it must be quick.

        Raises:
            InvalidRequest: A value cannot be sent. Values that only the server can check are raised when the session is
                entered.
        """
        opening = open_request(
            messages,
            sampling,
            draft,
            warm_mode,
            cache_scope,
            session_key,
            chat_template_kwargs,
            pregeneration,
            resume_token,
            cache_secret,
        )
        return Session(self._stub.Compose, opening, auto_flush=auto_flush, on_flush=on_flush)

    async def close(self) -> None:
        """Close the connection and cancel sessions that are still open."""
        await self._channel.close()

    async def _ready(self) -> Self:
        try:
            await asyncio.wait_for(self._channel.channel_ready(), self._connect_timeout_seconds)
        except TimeoutError:
            await self.close()
            raise NotReachable(
                f"no server answered at {self._target} within {self._connect_timeout_seconds:g} s: start one with"
                " forefill-server, or check the address"
            ) from None
        except BaseException:
            await self.close()
            raise
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self._ready().__await__()

    async def __aenter__(self) -> Self:
        return await self._ready()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
