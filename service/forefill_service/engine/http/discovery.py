"""Finds out what a vLLM server serves and what it can do, by asking it; says what each missing ability costs.

Where the server does not tell its block size (behind a router its metrics are out of reach) it is measured: of a long
prompt the leading k tokens are asked for again, and the engine says how many of them it found, which are whole blocks.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import EngineBusy, EngineRefused, EngineStartError, EngineUnavailable
from ..base import ONE_TOKEN, EngineInfo, Priority, Request
from ..probes import filler_ids
from .completions import body
from .endpoint import Endpoint, completed
from .served_chat import SECONDS, renders_as, served_chat
from .vllm_metrics import MetricsSnapshot, parse_metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...chat.prompt import Chat
    from ...settings import Settings

log = logging.getLogger(__name__)

_MEASURED_AT = (1023, 767, 639, 575)
"""Lengths that tell all block sizes to 512 apart."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model, and what its servers can do."""

    info: EngineInfo
    chat: Chat
    priorities: bool
    cached_tokens: bool


async def discover(endpoint: Endpoint, settings: Settings) -> ServedModel:
    """Ask a server that is up.

    Raises EngineUnavailable where it is not, EngineStartError where forefill cannot work with it.
    """
    try:
        return await _Discovery(endpoint, settings).all()
    except EngineBusy as busy:
        raise EngineUnavailable(str(busy)) from busy
    except EngineRefused as refused:
        raise EngineStartError(f"{endpoint.url} refuses what forefill needs: {refused}") from refused


async def difference(endpoint: Endpoint, served: ServedModel, settings: Settings) -> str:
    """Say in what a server that has come up differs from what is served; "" where it can stand in for the others.

    Raises EngineError where it cannot be asked.
    """
    card = next((card for card in await _cards(endpoint) if card.get("id") == served.info.model), None)
    if card is None:
        return f"it does not serve {served.info.model}"
    context_tokens, needed = int(card.get("max_model_len") or 0), served.info.context_tokens
    if 0 < context_tokens < needed:
        return f"its context is {context_tokens} tokens, not {needed}; --context-tokens can lower it for all"
    metrics = None if settings.remote.router else await metrics_of(endpoint, SECONDS)
    block_size = metrics and metrics.block_size
    if block_size and not settings.engine.block_size and block_size != served.info.block_size:
        return f"its cache blocks have {block_size} tokens, not {served.info.block_size}"
    if await renders_as(endpoint, served.info.model, served.chat) is False:
        return "it makes other token ids of the same messages"
    return ""


async def metrics_of(endpoint: Endpoint, seconds: float, rank: int | None = None) -> MetricsSnapshot | None:
    """Read a server's metrics; None where what answers there is no vLLM. Raises EngineUnavailable."""
    try:
        reading = parse_metrics(await endpoint.text("/metrics", seconds), rank)
    except (EngineRefused, ValueError):
        return None
    return reading if reading.cache else None


class _Discovery:
    def __init__(self, endpoint: Endpoint, settings: Settings) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._model = ""

    async def all(self) -> ServedModel:
        card = await self._card()
        self._model = str(card["id"])
        name = self._settings.engine.model or str(card.get("root") or self._model)
        chat = await served_chat(self._endpoint, self._model, name, self._settings.engine.chat_template)
        context_tokens = self._settings.engine.context_tokens or int(card.get("max_model_len") or 0)
        if not context_tokens:
            raise EngineStartError(f"{self._endpoint.url} does not tell the model's context; set --context-tokens")
        prompt = filler_ids(chat, min(_MEASURED_AT[0] + 1, context_tokens - 2))
        cached_tokens = await self._tells_cached(prompt)
        priorities = await self._takes_priorities(prompt[:8])
        metrics = None if self._settings.remote.router else await metrics_of(self._endpoint, SECONDS)
        self._say_costs(metrics, priorities=priorities, cached_tokens=cached_tokens)
        block_size = self._settings.engine.block_size or (metrics and metrics.block_size)
        if not block_size and cached_tokens:
            block_size = await self._measured_block_size(prompt)
        if not block_size:
            raise EngineStartError(f"{self._endpoint.url} does not tell its cache's block size; set --block-size")
        cache_blocks = metrics.cache_blocks if metrics else None
        info = EngineInfo(
            self._model, block_size, context_tokens, cache_blocks, caches=self._settings.remote.router_workers
        )
        return ServedModel(info, chat, priorities, cached_tokens)

    async def _card(self) -> dict[str, str | int]:
        """Return what the server says of the model that is meant."""
        cards = await _cards(self._endpoint)
        wanted = self._settings.remote.served_model
        for card in cards:
            if not wanted or card.get("id") == wanted:
                return card
        names = ", ".join(str(card.get("id")) for card in cards) or "nothing"
        raise EngineStartError(f"{self._endpoint.url} serves {names}, not {wanted!r}; set --served-model")

    async def _cached(self, ids: Sequence[int], salt: str, priority: Priority = Priority.GENERATION) -> int | None:
        """Run a request of one token; return how many of its ids were found cached, None where that is not told."""
        request = Request(list(ids), ONE_TOKEN, priority, salt, route=salt)
        cached = None
        asked = body(request, self._model, 1, priorities=True)
        headers = {self._settings.remote.affinity_header: salt}
        async for output in completed(self._endpoint, asked, headers, SECONDS, SECONDS):
            cached = output.cached_tokens
        return cached

    async def _tells_cached(self, prompt: Sequence[int]) -> bool:
        """Look whether it tells what it found cached, of a prompt that is: older releases leave out a count of 0."""
        salt = secrets.token_hex(8)
        counts = [await self._cached(prompt, salt) for _ in range(2)]
        return any(count is not None for count in counts)

    async def _takes_priorities(self, prompt: Sequence[int]) -> bool:
        try:
            await self._cached(prompt, secrets.token_hex(8), Priority.WARM)
        except EngineBusy:
            raise
        except EngineRefused as refused:
            log.debug("no priorities: %s", refused)
            return False
        return True

    async def _measured_block_size(self, prompt: Sequence[int]) -> int | None:
        salt, found = secrets.token_hex(8), {}
        await self._cached(prompt, salt)
        for leading in (length for length in _MEASURED_AT if length < len(prompt)):
            other = next(token for token in prompt if token != prompt[leading])
            asked = [*prompt[:leading], other, other]
            found[leading] = await self._cached(asked, salt) or 0
        return block_size_of(found)

    def _say_costs(self, metrics: MetricsSnapshot | None, *, priorities: bool, cached_tokens: bool) -> None:
        url = self._endpoint.url
        if metrics is not None and metrics.cache.get("enable_prefix_caching") == "False":
            log.warning("%s runs without prefix caching: warming does nothing there", url)
        if not priorities:
            log.warning(
                "%s runs without --scheduling-policy priority: a warm that has been sent may make an answer wait", url
            )
        if not cached_tokens:
            log.warning(
                "%s runs without --enable-prompt-tokens-details: what it finds cached is not told, so results and "
                "ledgers hold what forefill believes, and evictions go unnoticed",
                url,
            )


async def _cards(endpoint: Endpoint) -> Sequence[dict[str, str | int]]:
    """Return what a server says of each of its models."""
    return (await endpoint.json("/v1/models", SECONDS)).get("data") or []


def block_size_of(found: dict[int, int]) -> int | None:
    """Return the smallest block size by which, of so many leading tokens, just so many are in whole blocks.

    None where no size does that: nothing was cached, or not in whole blocks.
    """
    if not found or not any(found.values()):
        return None
    largest = max(found.values())
    fits = (
        size
        for size in range(1, largest + 1)
        if all(cached == leading - leading % size for leading, cached in found.items())
    )
    return next(fits, None)
