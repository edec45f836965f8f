"""vLLM as it stands, over its OpenAI-compatible HTTP API: one server, or a router in front of several.

The API is `/v1/completions` with token ids (vLLM 0.11 or later). A server's own chat endpoint would make the same ids
of the same messages; that was checked when it was found (`served_chat`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ...cache.blocks import CacheChange
from ...chat.generation import Output
from ...errors import EngineBusy, EngineError, EngineStartError, EngineUnavailable, EngineUnreachable
from ..base import ONE_TOKEN, EngineLoad, Priority, Request
from .completions import NotServed, body
from .discovery import ServedModel, difference, discover, metrics_of
from .endpoint import Endpoint, completed
from .pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from ...settings import Settings
    from .vllm_metrics import MetricsSnapshot

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often a server is asked how it is doing."""
RANK_HEADER = "X-data-parallel-rank"


class RemoteEngine:
    """An `Engine` on a server that is already there. It belongs to the event loop on which it was made.

    `name` tells it apart from others: the URL, and the rank where the server has several engines inside.
    """

    def __init__(self, endpoint: Endpoint, served: ServedModel, settings: Settings, rank: int | None = None) -> None:
        self.name = endpoint.url if rank is None else f"{endpoint.url}#{rank}"
        self.info, self.chat = served.info, served.chat
        self._load = EngineLoad(others=None if settings.router else 0)
        self._open = 0
        self._endpoint = endpoint
        self._served = served
        self._settings = settings
        self._rank = rank
        self._pulse = Pulse(single_server=not settings.router)
        self._clock = asyncio.get_running_loop().time
        self._probe_now = asyncio.Event()
        self._restarts = asyncio.Event()
        self._told: MetricsSnapshot | None = None
        self._probed_at = float("-inf")
        self._mismatch = ""
        self._said_down = False

    @property
    def up(self) -> bool:
        """Whether the last probe was answered."""
        return self._pulse.up

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request on the server; one that is down is not asked."""
        if not self._pulse.up:
            raise EngineUnreachable(f"{self.name} is down")
        max_tokens = self.info.answer_tokens(len(request.prompt_ids), request.sampling.max_tokens)
        self._open += 1
        try:
            async with aclosing(self._outputs(request, max_tokens)) as outputs:
                async for output in outputs:
                    self._pulse.heard(self._clock())
                    yield output
        except EngineUnavailable as error:
            if isinstance(error, EngineUnreachable):
                self._pulse.refused()
            self._probe_now.set()
            raise
        except NotServed as refused:  # nor anyone else's requests: another server may
            self._probe_now.set()
            raise EngineUnavailable(str(refused)) from refused
        finally:
            self._open -= 1

    @property
    def load(self) -> EngineLoad:
        """As the server told a second ago; of the workers behind a router nobody tells."""
        return self._load

    async def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Yield an empty cache whenever the server has come up anew."""
        while True:
            await self._restarts.wait()
            self._restarts.clear()
            yield CacheChange(cleared=True)

    async def watch(self) -> None:
        """Ask how it is doing, and probe it when nothing was heard of it for a while, until cancelled.

        Neither waits for the other: a server that hangs keeps both waiting for as long as they may take.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_looking())
            tasks.create_task(self._keep_probing())

    async def probe(self) -> None:
        """Have one token generated, and take it from there whether the server is up."""
        asked_at = self._probed_at = self._clock()
        was_up, why = self._pulse.up, ""
        request = Request(self.chat.encode("a"), ONE_TOKEN, Priority.GENERATION, route=secrets.token_hex(8))
        try:
            async with asyncio.timeout(self._settings.probe_timeout_seconds):
                async with aclosing(self._outputs(request, 1)) as outputs:
                    async for _ in outputs:
                        pass
        except TimeoutError:
            why = f"no token within {self._settings.probe_timeout_seconds:g} s"
            self._pulse.probe_unanswered(asked_at)
        except EngineBusy as busy:  # it has no room, or no worker: busy engines are heard of
            why = str(busy)
            self._pulse.probe_unanswered(asked_at - self._settings.probe_seconds)
        except EngineError as error:
            why = str(error)
            self._pulse.failed(asked_at - self._settings.probe_seconds)
        else:
            if was_up or await self._matches_what_is_served():
                self._answered()
        if why and not self._pulse.up:
            self._mark_down(why)

    async def close(self) -> None:
        """Close the connections; the server goes on."""
        await self._endpoint.close()

    async def _outputs(self, request: Request, max_tokens: int) -> AsyncGenerator[Output, None]:
        settings = self._settings
        asked = body(request, self.info.model, max_tokens, priorities=self._served.priorities)
        first = (
            settings.warm_timeout_seconds if request.priority is Priority.WARM else settings.first_token_timeout_seconds
        )
        outputs = completed(
            self._endpoint,
            asked,
            self._headers(request),
            first,
            settings.token_timeout_seconds,
            cached_tokens_if_missing=0 if self._served.cached_tokens else None,
        )
        async with aclosing(outputs):
            async for output in outputs:
                yield output

    def _headers(self, request: Request) -> Mapping[str, str]:
        headers = {}
        if request.route:
            headers[self._settings.affinity_header] = hashlib.sha256(request.route.encode()).hexdigest()[:32]
        if self._rank is not None:
            headers[RANK_HEADER] = str(self._rank)
        return headers

    def _answered(self) -> None:
        anew = self._pulse.heard_at > float("-inf")
        self._said_down = False
        if self._pulse.answered(self._clock()):
            log.info("%s is up", self.name)
            if anew:
                self._restarts.set()

    def _mark_down(self, why: str) -> None:
        """Say once that it is down, and let nobody wait for it in vain: an answer that still comes is not cut off."""
        if not self._said_down:
            self._said_down = True
            log.warning("%s is down (%s); its sessions go elsewhere until it is up", self.name, why)
        silent_seconds = self._clock() - self._pulse.heard_at
        if self._pulse.single_server and silent_seconds >= self._settings.probe_timeout_seconds:
            self._endpoint.hang_up()

    async def _matches_what_is_served(self) -> bool:
        """Look whether what has come up is what is served; another model under this address is not used."""
        try:
            mismatch = await difference(self._endpoint, self._served, self._settings)
        except EngineError as error:
            log.debug("%s cannot be asked what it serves: %s", self.name, error)
            return False
        if mismatch and mismatch != self._mismatch:
            log.error("%s is up and is not used: %s", self.name, mismatch)
        self._mismatch = mismatch
        return not mismatch

    async def _keep_probing(self) -> None:
        while True:
            silent_since = max(self._pulse.heard_at, self._probed_at)
            due = self._clock() - silent_since >= self._settings.probe_seconds
            if due or self._probe_now.is_set() or self._pulse.misses or not self._pulse.up:
                self._probe_now.clear()
                await self.probe()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._probe_now.wait()

    async def _keep_looking(self) -> None:
        every = min(LOOK_SECONDS, self._settings.probe_timeout_seconds / 2)  # a probe's verdict rests on it, too
        while not self._settings.router:
            await self._look()
            await asyncio.sleep(every)

    async def _look(self) -> None:
        """Read the server's metrics: its load, and whether it has worked for anyone since."""
        try:
            told = await metrics_of(self._endpoint, self._settings.probe_timeout_seconds, self._rank)
        except EngineUnavailable:
            self._probe_now.set()
            return
        before, self._told = self._told, told
        if told is None:
            return
        self._load = replace(told.load, others=max(0, told.load.running - self._open))
        if before is None:
            return
        if told != before:  # tokens, or a queue and a cache that move: one long prompt gives no token for seconds
            self._pulse.heard(self._clock())
        if told.started_at != before.started_at or told.tokens < before.tokens:
            self._restarts.set()


async def connect(settings: Settings) -> Sequence[RemoteEngine]:
    """Connect to all servers of the settings, those that are not up yet included.

    Waits until one of them answers, `engine_wait_seconds` at most. Raises EngineStartError.
    """
    ranks = range(settings.data_parallel_size) if settings.data_parallel_size > 1 else (None,)
    places = [(_endpoint(url, settings), rank) for url in settings.engine_url for rank in ranks]
    endpoints = [endpoint for endpoint, _ in places]
    try:
        served = await _first_served(endpoints[:: len(ranks)], settings)
    except BaseException:
        for endpoint in endpoints:
            await endpoint.close()
        raise
    engines = [RemoteEngine(endpoint, served, settings, rank) for endpoint, rank in places]
    await asyncio.gather(*(engine.probe() for engine in engines))
    return engines


async def _first_served(endpoints: Sequence[Endpoint], settings: Settings) -> ServedModel:
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + settings.engine_wait_seconds
    while True:
        for endpoint in endpoints:
            try:
                return await discover(endpoint, settings)
            except EngineUnavailable as error:
                complaint = str(error)
        if loop.time() >= give_up_at:
            raise EngineStartError(f"no engine answers: {complaint}; check --engine-url")
        log.info("waiting for an engine: %s", complaint)
        await asyncio.sleep(min(LOOK_SECONDS * 5, max(0.0, give_up_at - loop.time())))


def _endpoint(url: str, settings: Settings) -> Endpoint:
    return Endpoint(
        url,
        api_key=settings.engine_api_key.get_secret_value(),
        headers=settings.engine_headers,
        ca_file=str(settings.engine_ca_file) if settings.engine_ca_file else None,
        connect_seconds=settings.connect_timeout_seconds,
    )
