"""An ASGI application on a port of its own, in this process: uvicorn without its signal handlers."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import EngineStartError

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterator

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.01
CERTIFICATE = "forefill.certificate"
"""Where the scope of a request has its client's certificate, as `ssl.SSLObject.getpeercert` gives it."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """How a port is stopped before its block ends: `begin` takes no more requests, `end` waits for none, either."""

    begin: Callable[[], None]
    end: Callable[[], None]


@asynccontextmanager
async def openai_port(
    app: Any, listener: socket.socket, grace_seconds: float, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Stopping]:
    """Serve an application for the duration of the block, by TLS if there is a context; yield how to stop it before.

    Requests that run then have `grace_seconds` to finish. If it fails meanwhile, this port alone is lost. Raises
    EngineStartError.
    """
    import uvicorn
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:  # they are for the whole process
            yield

        def begin_to_stop(self) -> None:
            self.should_exit = True

        def end(self) -> None:
            self.begin_to_stop()
            for request in self.server_state.tasks:
                request.cancel()

    class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self.app: Any = _with_certificate(self.app, transport.get_extra_info("peercert"))

    config = uvicorn.Config(
        app,
        http=Protocol,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=math.ceil(grace_seconds),
    )
    config.load()
    config.ssl = tls
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
