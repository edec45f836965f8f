"""Discovery: asks a vLLM server what it serves and what it can do, and logs what each missing ability costs.

If the server does not report its block size (a router hides the metrics), it is measured: the leading k tokens of a
long prompt are sent again, and the server reports how many of them it found cached, which are whole blocks.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import EngineBusy, EngineRefused, EngineStartError, EngineUnavailable
from ..base import ONE_TOKEN, EngineInfo, Priority, Request
from ..probes import CONVERSATIONS, filler_ids
from .answers import Bounds
from .chat_ids import QUESTION_SECONDS, ChatIds
from .completions import COMPLETIONS, body
from .endpoint import Endpoint, completed
from .model_cards import ModelCard, cards_in
from .served_chat import compare, rendered_by, served_chat
from .vllm_metrics import MetricsSnapshot, parse_metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...chat.prompt import Chat
    from ...settings import Settings

log = logging.getLogger(__name__)

_MEASURED_AT = (1023, 767, 639, 575)
"""Lengths in tokens that distinguish all block sizes up to 512."""
_MOST_NAMES = 20
"""How many models an error lists."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model, and whether its servers take priorities and report cached tokens.

    `harmony` says whether its chats are rendered without the template; `agreed` names the conversations
    (`CONVERSATIONS`) of which forefill and the first server make the same ids. `reasons` are those that its template
    gives for a refusal.
    """

    info: EngineInfo
    chat: Chat
    accepts_priorities: bool
    reports_cached_tokens: bool
    harmony: bool = False
    agreed: frozenset[str] = frozenset(CONVERSATIONS)
    reasons: frozenset[str] = frozenset()


async def discover(endpoint: Endpoint, settings: Settings) -> ServedModel:
    """Ask a server what it serves.

    Raises EngineUnavailable if it is not up, EngineStartError if forefill cannot work with it.
    """
    try:
        return await _Discovery(endpoint, settings).run()
    except EngineBusy as busy:
        raise EngineUnavailable(str(busy)) from busy
    except EngineRefused as refused:
        raise EngineStartError(f"{endpoint.url} refuses what forefill needs: {refused}") from refused


async def difference(endpoint: Endpoint, served: ServedModel, settings: Settings, ids: ChatIds) -> str:
    """Return in what a server that has come up differs from what is served; "" if it can replace the others.

    `ids` asks that server for ids. Raises EngineError if the server does not say.
    """
    card = next((card for card in await cards_of(endpoint) if card.id == served.info.model), None)
    if card is None:
        return f"it does not serve {served.info.model}"
    context_tokens, needed = card.context_tokens, served.info.context_tokens
    if 0 < context_tokens < needed:
        return f"its context is {context_tokens} tokens, not {needed}; --context-tokens can lower it for all"
    metrics = None if settings.remote.router else await metrics_of(endpoint, QUESTION_SECONDS)
    block_size = metrics and metrics.block_size
    if block_size and not settings.engine.block_size and block_size != served.info.block_size:
        return f"its cache blocks have {block_size} tokens, not {served.info.block_size}"
    rendering = compare(served.chat, await rendered_by(ids))
    worthless = rendering.differing and not (rendering.useful or served.harmony)
    if worthless or served.agreed.intersection(rendering.differing):
        return "it makes other token ids of the same messages"
    return ""


async def metrics_of(endpoint: Endpoint, seconds: float, rank: int | None = None) -> MetricsSnapshot | None:
    """Return a server's metrics; None if they are not vLLM's. Raises EngineUnavailable."""
    try:
        snapshot = parse_metrics(await endpoint.text("/metrics", seconds), rank)
    except (EngineRefused, ValueError):
        return None
    return snapshot if snapshot.cache else None


class _Discovery:
    def __init__(self, endpoint: Endpoint, settings: Settings) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._model = ""

    async def run(self) -> ServedModel:
        card = await self._card()
        self._model = card.id
        name = self._settings.engine.model or card.root or self._model
        chats = await served_chat(self._endpoint, self._model, name, self._settings.engine.chat_template)
        chat, harmony = chats.chat, chats.harmony
        context_tokens = self._settings.engine.context_tokens or card.context_tokens
        if not context_tokens:
            raise EngineStartError(f"{self._endpoint.url} does not report the model's context; set --context-tokens")
        prompt = filler_ids(chat, min(_MEASURED_AT[0] + 1, context_tokens - 2))
        cached_tokens = await self._reports_cached_tokens(prompt)
        priorities = await self._accepts_priorities(prompt[:8])
        metrics = None if self._settings.remote.router else await metrics_of(self._endpoint, QUESTION_SECONDS)
        self._log_costs(metrics, priorities=priorities, cached_tokens=cached_tokens)
        block_size = self._settings.engine.block_size or (metrics and metrics.block_size)
        if not block_size and cached_tokens:
            block_size = await self._measured_block_size(prompt)
        if not block_size:
            raise EngineStartError(f"{self._endpoint.url} does not report its cache's block size; set --block-size")
        cache_blocks = metrics.cache_blocks if metrics else None
        info = EngineInfo(
            self._model,
            block_size,
            context_tokens,
            cache_blocks,
            caches=self._settings.remote.router_workers,
            continues_messages=not harmony,
            vocabulary=chats.vocabulary,
        )
        return ServedModel(info, chat, priorities, cached_tokens, harmony, chats.agreed, chats.reasons)

    async def _card(self) -> ModelCard:
        cards = await cards_of(self._endpoint)
        wanted = self._settings.remote.served_model
        for card in cards:
            if not wanted or card.id == wanted:
                return card
        names = ", ".join(card.id for card in cards[:_MOST_NAMES]) or "nothing"
        raise EngineStartError(f"{self._endpoint.url} serves {names}, not {wanted!r}; set --served-model")

    async def _cached_tokens(
        self, ids: Sequence[int], salt: str, priority: Priority = Priority.GENERATION
    ) -> int | None:
        request = Request(list(ids), ONE_TOKEN, priority, salt, route=salt)
        cached = None
        asked = body(request, self._model, 1, priorities=True)
        headers = {self._settings.remote.affinity_header: salt}
        limits, bounds = (QUESTION_SECONDS, QUESTION_SECONDS), Bounds(prompt_tokens=len(ids))
        async for output in completed(self._endpoint, COMPLETIONS, asked, headers, *limits, bounds=bounds):
            cached = output.cached_tokens
        return cached

    async def _reports_cached_tokens(self, prompt: Sequence[int]) -> bool:
        # The same prompt twice: older releases leave out a count of 0.
        salt = secrets.token_hex(8)
        counts = [await self._cached_tokens(prompt, salt) for _ in range(2)]
        return any(count is not None for count in counts)

    async def _accepts_priorities(self, prompt: Sequence[int]) -> bool:
        try:
            await self._cached_tokens(prompt, secrets.token_hex(8), Priority.WARM)
        except EngineBusy:
            raise
        except EngineRefused as refused:
            log.debug("the server does not accept priorities: %s", refused)
            return False
        return True

    async def _measured_block_size(self, prompt: Sequence[int]) -> int | None:
        salt, found = secrets.token_hex(8), {}
        await self._cached_tokens(prompt, salt)
        for leading in (length for length in _MEASURED_AT if length < len(prompt)):
            other = next(token for token in prompt if token != prompt[leading])
            asked = [*prompt[:leading], other, other]
            found[leading] = await self._cached_tokens(asked, salt) or 0
        return block_size_of(found)

    def _log_costs(self, metrics: MetricsSnapshot | None, *, priorities: bool, cached_tokens: bool) -> None:
        url = self._endpoint.url
        if metrics is not None and metrics.cache.get("enable_prefix_caching") == "False":
            log.warning("%s runs without prefix caching: warming has no effect there", url)
        if not priorities:
            log.warning("%s runs without --scheduling-policy priority: an answer may have to wait for a warm", url)
        if not cached_tokens:
            log.warning(
                "%s runs without --enable-prompt-tokens-details: it does not report cached tokens, so results and "
                "ledgers contain estimates, and evictions go unnoticed",
                url,
            )


async def cards_of(endpoint: Endpoint) -> Sequence[ModelCard]:
    """Return what a server lists: its models, and their LoRA adapters. Raises EngineError."""
    return cards_in(await endpoint.json("/v1/models", QUESTION_SECONDS))


def block_size_of(found: dict[int, int]) -> int | None:
    """Return the smallest block size that explains how many of `leading` tokens were found cached, for each `leading`.

    Returns None if no size does: nothing was cached, or not in whole blocks.
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
