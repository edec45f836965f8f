"""An ASGI application on a port of its own, in this process: uvicorn without its signal handlers, and with limits.

The head of a request must come within `HEAD_SECONDS`, and so must the next one on the same connection, once it has
begun. No more than `MOST_WAITING` connections wait for one: one more takes the place of the oldest. What runs is the
application's matter.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import EngineStartError
from .connections import Connections

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterator

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.01
HEAD_SECONDS = 10.0
MOST_WAITING = 256
HANDSHAKE_SECONDS = 5.0
GOODBYE_SECONDS = 1.0
"""How long a client is waited for to end TLS in good order."""
CERTIFICATE = "forefill.certificate"
"""Where the scope of a request has its client's certificate, as `ssl.SSLObject.getpeercert` gives it."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """How a port is stopped before its block ends: `begin` takes no more requests, `end` waits for none, either."""

    begin: Callable[[], None]
    end: Callable[[], None]


@asynccontextmanager
async def openai_port(
    app: Any,
    listener: socket.socket,
    grace_seconds: float,
    tls: ssl.SSLContext | None = None,
    *,
    head_seconds: float = HEAD_SECONDS,
    most_waiting: int = MOST_WAITING,
) -> AsyncIterator[Stopping]:
    """Serve an application for the duration of the block, by TLS if there is a context; yield how to stop it before.

    Requests that run then have `grace_seconds` to finish. If it fails meanwhile, this port alone is lost. Raises
    EngineStartError.
    """
    import uvicorn

    waiting = Connections(most_waiting, head_seconds)
    handshake: dict[str, Any] = {}
    if tls is not None:
        handshake = {"ssl": tls, "ssl_handshake_timeout": HANDSHAKE_SECONDS, "ssl_shutdown_timeout": GOODBYE_SECONDS}

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:  # they are for the whole process
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup([])  # the application; uvicorn would listen without limits
            create = asyncio.get_running_loop().create_server
            for each in sockets or []:
                self.servers.append(await create(self._connection, sock=each, backlog=config.backlog, **handshake))

        def begin_to_stop(self) -> None:
            self.should_exit = True

        def end(self) -> None:
            self.begin_to_stop()
            for request in self.server_state.tasks:
                request.cancel()
            for connection in list(self.server_state.connections):
                connection.transport.abort()

        def _connection(self) -> asyncio.Protocol:
            made: asyncio.Protocol = protocol(
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

    protocol = _protocol(waiting)
    config = uvicorn.Config(
        app,
        http=protocol,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=math.ceil(grace_seconds),
    )
    server = Server(config)
    task = asyncio.create_task(_serve(server, listener), name="openai-port")
    try:
        while not (server.started or task.done()):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(LOOK_SECONDS)
        if task.done():
            raise EngineStartError(
                "vLLM's OpenAI API does not start; --log-level debug shows why"
            ) from task.exception()
        yield Stopping(server.begin_to_stop, server.end)
    finally:
        server.begin_to_stop()
        await asyncio.wait({task})


def _protocol(waiting: Connections) -> Any:
    """Return uvicorn's HTTP/1.1 on h11, which bounds the head of a request, with those that wait for one counted."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Protocol(H11Protocol):
        _waits = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.app: Any = _with_certificate(self.app, transport.get_extra_info("peercert"))
            self._count()

        def handle_events(self) -> None:
            super().handle_events()
            self._count()

        def connection_lost(self, exc: Exception | None) -> None:
            self._wait(waits=False)
            super().connection_lost(exc)

        def _count(self) -> None:
            upgraded = self.transport.get_protocol() is not self  # to a WebSocket, which has a protocol of its own
            runs = self.cycle is not None and not self.cycle.response_complete
            self._wait(waits=not (upgraded or runs or self.transport.is_closing()))

        def _wait(self, *, waits: bool) -> None:
            if waits and not self._waits:
                waiting.opened(self.transport)
            elif self._waits and not waits:
                waiting.closed(self.transport)
            self._waits = waits

    return Protocol


def _with_certificate(app: Any, certificate: dict[str, Any] | None) -> Any:
    """Return an application whose requests know the certificate of their connection; itself without one."""
    if not certificate:
        return app

    async def knowing(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app({**scope, CERTIFICATE: certificate}, receive, send)

    return knowing


async def _serve(server: Any, listener: socket.socket) -> None:
    """Serve until the server is to stop; a failure is only reported."""
    try:
        await server.serve(sockets=[listener])
    except SystemExit as failed:  # the event loop would end with it
        raise RuntimeError("the application did not start") from failed
    except Exception:
        log.exception("the OpenAI API has failed, and hand-offs find nothing there; start the server again")
    finally:
        listener.close()
