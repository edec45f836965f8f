"""The requests to one server whose model and abilities are known."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from ...errors import EngineBusy, EngineRefused
from ..base import ONE_TOKEN, RANK_HEADER, ChatRequest, Priority, Request
from ..causes import NO_MODEL
from .answers import Bounds
from .chat_ids import ChatIds
from .completions import CHAT_COMPLETIONS, COMPLETIONS, body, chat_body
from .discovery import cards_of, difference, metrics_of
from .endpoint import completed
from .failures import NotOffered, NotServed
from .logprobs import LogprobsReader
from .parsers import Parsers, parsers_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from ...chat.generation import Output
    from ...settings import Settings
    from .discovery import ServedModel
    from .endpoint import Endpoint
    from .model_cards import ModelCard
    from .vllm_metrics import MetricsSnapshot


log = logging.getLogger(__name__)


class ServerClient:
    """Sends requests to one server, or to one data-parallel rank of it. `name` is the URL, with the rank if any.

    `parsers` are known once it is up.
    """

    def __init__(self, endpoint: Endpoint, served: ServedModel, settings: Settings, rank: int | None = None) -> None:
        self.name = endpoint.url if rank is None else f"{endpoint.url}#{rank}"
        self.served = served
        self.endpoint = endpoint
        self._settings = settings
        self._rank = rank
        self.chat_ids = self._new_chat_ids()
        self.parsers = Parsers()

    async def outputs(self, request: Request, max_tokens: int) -> AsyncGenerator[Output, None]:
        """Run one request and yield the parts of its answer. Raises EngineRefused, EngineUnavailable."""
        asked = body(request, self.served.info.model, max_tokens, priorities=self.served.accepts_priorities)
        with _refused_with_its_adapter(request):
            async with aclosing(self._completed(COMPLETIONS, asked, request)) as outputs:
                async for output in outputs:
                    yield output

    async def chat_outputs(self, request: ChatRequest) -> AsyncGenerator[Output, None]:
        """Have the chat endpoint answer and yield the parts. Raises EngineRefused, EngineUnavailable."""
        asked = chat_body(request, self.served.info.model, priorities=self.served.accepts_priorities)
        asked |= await self.chat_ids.tool_choice(request.conversation)
        with _refused_with_its_adapter(request):
            async with aclosing(self._completed(CHAT_COMPLETIONS, asked, request)) as outputs:
                async for output in outputs:
                    yield output

    async def probe(self) -> None:
        """Have one token generated, behind a router under a new key.

        Raises EngineRefused, EngineUnavailable, and TimeoutError after `probe_timeout_seconds`.
        """
        prompt = self.served.chat.encode("a")
        request = Request(prompt, ONE_TOKEN, Priority.GENERATION, route=secrets.token_hex(8))
        async with asyncio.timeout(self._settings.remote.probe_timeout_seconds):
            async with aclosing(self.outputs(request, 1)) as outputs:
                async for _ in outputs:
                    pass

    async def cards(self) -> Sequence[ModelCard]:
        """Return what the server lists: models, and LoRA adapters. Raises EngineError."""
        return await cards_of(self.endpoint)

    async def knows_structures(self) -> bool:
        """Return whether the server refuses a structure without a kind, as vLLM does that knows structures at all.

        Raises EngineBusy, NotServed, EngineUnavailable.
        """
        request = Request(self.served.chat.encode("a"), ONE_TOKEN, Priority.GENERATION)
        asked = body(request, self.served.info.model, 1, priorities=False) | {"structured_outputs": {}}
        try:
            async with aclosing(self._completed(COMPLETIONS, asked, request)) as outputs:
                async for _ in outputs:
                    pass
        except (EngineBusy, NotServed):  # it says nothing of the structure
            raise
        except EngineRefused:
            return True
        return False

    async def mismatch(self) -> str:
        """Return in what the server now differs from what it served; "" if it does not. Raises EngineError."""
        ids = self._new_chat_ids()  # a server that was down may have come back with other flags
        mismatch = await difference(self.endpoint, self.served, self._settings, ids)
        parsers = await parsers_of(self.endpoint, self.served.info.model, ids)
        if parsers != self.parsers:
            log.info("%s takes apart %s: its chat endpoint gives such answers", self.name, parsers)
        self.parsers, self.chat_ids = parsers, ids
        return mismatch

    async def metrics(self) -> MetricsSnapshot | None:
        """Return the server's metrics, None if it has none. Raises EngineUnavailable."""
        return await metrics_of(self.endpoint, self._settings.remote.probe_timeout_seconds, self._rank)

    def hang_up(self) -> None:
        """End all requests that wait for this server: they raise EngineUnavailable."""
        self.endpoint.hang_up()

    async def close(self) -> None:
        """Close all connections."""
        await self.endpoint.close()

    def _completed(
        self, path: str, asked: dict[str, Any], request: Request | ChatRequest
    ) -> AsyncGenerator[Output, None]:
        settings, info = self._settings.remote, self.served.info
        warm, likeliest = request.priority is Priority.WARM, request.sampling.logprobs
        prompt_tokens = len(request.prompt_ids) if isinstance(request, Request) else None
        return completed(
            self.endpoint,
            path,
            asked,
            self.headers(request.route) | ({"X-Request-ID": request.request_id} if request.request_id else {}),
            settings.warm_timeout_seconds if warm else settings.first_token_timeout_seconds,
            settings.token_timeout_seconds,
            cached_tokens_if_missing=0 if self.served.reports_cached_tokens else None,
            logprobs=None if likeliest is None else self._logprobs_reader(likeliest),
            bounds=Bounds(info.vocabulary, info.context_tokens, prompt_tokens),
        )

    def _new_chat_ids(self) -> ChatIds:
        served = self.served
        return ChatIds(
            self.endpoint,
            served.info.model,
            harmony=served.harmony,
            vocabulary=served.info.vocabulary,
            reasons=served.reasons,
        )

    def _logprobs_reader(self, likeliest: int) -> LogprobsReader:
        return LogprobsReader(likeliest, self.served.chat.text_of, self.served.info.vocabulary)

    def headers(self, route: str) -> dict[str, str]:
        """Return the headers that lead a request of a route to where its others go."""
        headers = {}
        if route:
            headers[self._settings.remote.affinity_header] = hashlib.sha256(route.encode()).hexdigest()[:32]
        if self._rank is not None:
            headers[RANK_HEADER] = str(self._rank)
        return headers


@contextmanager
def _refused_with_its_adapter(request: Request | ChatRequest) -> Iterator[None]:
    """Take it for a refusal of this request alone if the server does not have its adapter: it serves others."""
    try:
        yield
    except NotOffered as refused:
        if request.adapter:
            raise EngineRefused(NO_MODEL) from refused
        raise
