"""An engine on vLLM's OpenAI-compatible HTTP API: one server, or a router in front of several.

The API is `/v1/completions` with token ids (vLLM 0.11 or later). The authority for these ids is the server's own chat
endpoint (`chat_endpoint`): each turn is compared with it, and goes to it if the ids made here are not the same.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from ...cache.blocks import CacheChange
from ...errors import EngineStartError, EngineUnavailable, EngineUnreachable
from .chat_endpoint import RemoteChatEndpoint
from .client import ServerClient
from .discovery import discover
from .endpoint import Endpoint
from .monitor import ServerMonitor
from .wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from ...chat.generation import Output, Sampling
    from ...settings import RemoteSettings, Settings
    from ..base import EngineLoad, Request
    from .discovery import ServedModel

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
"""How often the servers are asked at the start, until one of them answers."""


class RemoteEngine:
    """An `Engine` on a server that runs already. It belongs to the event loop on which it was made.

    `name` is the server's URL, with the rank if it has several engines inside. `clock` returns seconds; it is the event
    loop's own by default.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        served: ServedModel,
        settings: Settings,
        rank: int | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.client = ServerClient(endpoint, served, settings, rank)
        self.monitor = ServerMonitor(self.client, settings.remote, clock or asyncio.get_running_loop().time)
        self.name = self.client.name
        self.info, self.chat = served.info, served.chat
        seconds = settings.remote.probe_timeout_seconds
        self.chat_endpoint = RemoteChatEndpoint(self.client, self.monitor, seconds)
        self._wishes = Wishes(self.client, self.monitor, seconds)

    @property
    def up(self) -> bool:
        """Whether the last probe was answered."""
        return self.monitor.pulse.up

    @property
    def load(self) -> EngineLoad:
        """The load that the server reported last, at most about a second ago; unknown behind a router."""
        return self.monitor.work.load

    async def check(self, sampling: Sampling, adapter: str) -> str:
        """Ask the server whether it has the adapter, and, with a request for one token, whether it takes the sampling.

        The adapter's version is its path on the server.
        """
        if not self.up:
            raise EngineUnreachable(f"{self.name} is down")
        return await self._wishes.check(sampling, adapter)

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request on the server; if it is down, it is not asked."""
        if not self.up:
            raise EngineUnreachable(f"{self.name} is down")
        max_tokens = self.info.answer_tokens(len(request.prompt_ids), request.sampling.max_tokens)
        async with aclosing(self.monitor.watched(self.client.outputs(request, max_tokens))) as outputs:
            async for output in outputs:
                yield output

    def openai_headers(self, route: str) -> dict[str, str]:
        """Return what names the route to a router, and the rank to a server that has several."""
        return self.client.headers(route)

    async def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Yield an empty cache whenever the server has restarted; it may take other samplings then, too."""
        while True:
            await self.monitor.restarted.wait()
            self.monitor.restarted.clear()
            self._wishes.forget()
            self.chat_endpoint.forget()
            yield CacheChange(cleared=True)

    async def watch(self) -> None:
        """Probe the server and read its metrics until cancelled."""
        await self.monitor.watch()

    async def close(self) -> None:
        """Close the connections; the server runs on."""
        await self.client.close()


async def connect(settings: Settings) -> Sequence[RemoteEngine]:
    """Connect to all servers that the settings name, including those that are not up yet.

    Waits until one of them answers, at most `start_wait_seconds`. Raises EngineStartError.
    """
    remote = settings.remote
    ranks = range(remote.data_parallel_size) if remote.data_parallel_size > 1 else (None,)
    addressed = [(_endpoint(url, remote), rank) for url in remote.urls for rank in ranks]
    endpoints = [endpoint for endpoint, _ in addressed]
    try:
        served = await _first_served(endpoints[:: len(ranks)], settings)
    except BaseException:
        for endpoint in endpoints:
            await endpoint.close()
        raise
    engines = [RemoteEngine(endpoint, served, settings, rank) for endpoint, rank in addressed]
    await asyncio.gather(*(engine.monitor.probe() for engine in engines))
    return engines


async def _first_served(endpoints: Sequence[Endpoint], settings: Settings) -> ServedModel:
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + settings.remote.start_wait_seconds
    while True:
        for endpoint in endpoints:
            try:
                return await discover(endpoint, settings)
            except EngineUnavailable as error:
                complaint = str(error)
        if loop.time() >= give_up_at:
            raise EngineStartError(f"no engine answers: {complaint}; check --engine-url")
        log.info("waiting for an engine: %s", complaint)
        await asyncio.sleep(min(_RETRY_SECONDS, max(0.0, give_up_at - loop.time())))


def _endpoint(url: str, remote: RemoteSettings) -> Endpoint:
    return Endpoint(
        url,
        api_key=remote.api_key.get_secret_value(),
        headers=remote.headers,
        ca_file=str(remote.ca_file) if remote.ca_file else None,
        connect_seconds=remote.connect_timeout_seconds,
    )
