"""The page of Prometheus metrics, on a port of its own.

It is made on the event loop, where all that it shows is changed, and that takes milliseconds; so it is made at most so
often, and all that ask in between get the next one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ..settings import Settings
from .address import address_of, listen
from .connections import Connections

PATH = "/metrics"
MOST_CONNECTIONS = 64
CONNECTION_SECONDS = 10.0
"""How long a connection may last: it is for one request."""
PAGE_SECONDS = 0.05
"""The shortest time between two pages."""
LAST_PAGE_SECONDS = 1.0
"""How long a running request may take after the server has stopped."""


class MetricsPage:
    """The page of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Future[bytes] | None = None
        self._not_before = 0.0

    def next(self) -> Awaitable[bytes]:
        """Return a page that is made after this call."""
        if self._next is None:
            self._next = self._loop.create_future()
            self._loop.call_at(self._not_before, self._make, self._next)
        return asyncio.shield(self._next)  # of those who wait for it, one that leaves takes it from nobody

    def _make(self, page: asyncio.Future[bytes]) -> None:
        self._next = None
        try:
            page.set_result(generate_latest(self._registry))
        except Exception as error:
            page.set_exception(error)
        self._not_before = self._loop.time() + PAGE_SECONDS


@asynccontextmanager
async def metrics_port(registry: CollectorRegistry, settings: Settings) -> AsyncIterator[str]:
    """Serve the metrics for the duration of the block; yield the address, "" if they are disabled.

    Raises ListenError.
    """
    host, port = settings.server.host, settings.observability.metrics_port
    if port < 0:
        yield ""
        return
    with listen(host, port, "--metrics-port", " for metrics") as listener:
        page, connections = MetricsPage(registry), Connections(MOST_CONNECTIONS, CONNECTION_SECONDS)

        async def answer(request: web.BaseRequest) -> web.Response:
            response = await _response(request, page)
            response.force_close()
            return response

        http = web.Server(answer, access_log=None)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(connections.limited(http), sock=listener)
        try:
            yield address_of(host, listener.getsockname()[1])
        finally:
            server.close()
            http.pre_shutdown()
            await http.shutdown(LAST_PAGE_SECONDS)
            connections.cut_all()


async def _response(request: web.BaseRequest, page: MetricsPage) -> web.Response:
    if request.path != PATH:
        return web.Response(status=404, text=f"the metrics are at {PATH}\n")
    if request.method not in ("GET", "HEAD"):
        return web.Response(status=405, headers={"Allow": "GET, HEAD"}, text="GET it\n")
    return web.Response(body=await page.next(), headers={"Content-Type": CONTENT_TYPE_LATEST})
