"""What an answer would have waited without forefill: measured on the same engine, by asking for it twice more.

    cold      nothing of the prompt is cached
    static    the conversation before the message is cached, as vLLM's own prefix caching has it; the message is not

Both are asked for in a cache scope of their own, so that neither finds what forefill has warmed, and only the first
token is made. They take the engine's time, so they are measured on demand, and what they wait depends on what else the
engine does.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from forefill_client import (
    AsyncClient,
    CacheScope,
    FlushOutcome,
    ForefillError,
    MessageLike,
    PregenerationMode,
    Sampling,
    WarmMode,
)

FLUSHES = 20
"""How often the conversation is asked to be cached before the measurement is given up."""
SECONDS_BETWEEN = 0.25


class NotMeasured(ForefillError):
    """Raised when the engine was too busy to cache the conversation, so that nothing can be compared; try again."""

    retryable = True


@dataclass(frozen=True, slots=True)
class Wait:
    """The wait of one answer."""

    seconds: float
    """From submit to the first token, by the client's clock."""
    cached_tokens: int
    """Tokens of the prompt that the engine found in its cache."""


@dataclass(frozen=True, slots=True)
class Twin:
    """The waits of the same answer without forefill."""

    cold: Wait
    """With nothing cached."""
    static: Wait
    """With the whole blocks cached of the conversation before the message."""


async def measure(
    client: AsyncClient, messages: Iterable[MessageLike], text: str, sampling: Sampling | None = None
) -> Twin:
    """Ask for the answer to `text` after `messages`, cold and with the conversation cached, and return both waits.

    Raises NotMeasured, and what a session raises.
    """
    messages = tuple(messages)
    one_token = replace(sampling or Sampling(), max_tokens=1, min_tokens=None)
    cold = await _wait(client, messages, text, one_token, warm_mode=WarmMode.OFF)
    static = await _wait(client, messages, text, one_token, warm_mode=WarmMode.AUTO)
    return Twin(cold, static)


async def _wait(
    client: AsyncClient, messages: tuple[MessageLike, ...], text: str, sampling: Sampling, *, warm_mode: WarmMode
) -> Wait:
    """Measure one answer in a session that shares nothing and that warms no more than the conversation."""
    async with client.session(
        messages,
        sampling=sampling,
        warm_mode=warm_mode,
        cache_scope=CacheScope.SESSION,
        pregeneration=PregenerationMode.OFF,
        auto_flush=False,
    ) as session:
        if warm_mode is WarmMode.AUTO:
            for _ in range(FLUSHES):
                result = await session.flushed(await session.flush())
                if result.outcome in (FlushOutcome.WARMED, FlushOutcome.NOTHING_NEW, FlushOutcome.INERT):
                    break
                await asyncio.sleep(SECONDS_BETWEEN)
            else:
                raise NotMeasured("the engine is too busy to cache the conversation first: try again later")
        answer = await session.submit(text)
        await answer.text()
        return Wait(answer.report.ttft_seconds, answer.report.cached_tokens)
