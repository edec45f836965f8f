"""The self-test: does warming help on this engine at all?"""

import secrets

from .base import ONE_TOKEN, Engine, Priority, Request, warm
from .probes import filler_ids

_BLOCKS = 2


async def warming_inert_reason(engine: Engine) -> str:
    """Warm a prefix, generate from an extension of it, and return "" if its blocks were hit, else one line of why not.

    Sliding-window and hybrid models, or prefix caching turned off, miss in exactly this pattern. An engine that does
    not report what it found cached gets the benefit of the doubt. The prompts have a salt of their own, so that no
    session finds their blocks. Raises EngineRefused, EngineUnavailable.
    """
    block_size, context = engine.info.block_size, engine.info.context_tokens
    blocks = min(_BLOCKS, (context - 2) // block_size)
    if blocks < 1:
        return f"one cache block ({block_size} tokens) does not fit into the model's context ({context} tokens)"
    salt = secrets.token_hex(8)
    prefix = filler_ids(engine.chat, blocks * block_size)
    await warm(engine, prefix, salt, route=salt)
    cached_tokens: int | None = None
    longer = Request([*prefix, *filler_ids(engine.chat, 1)], ONE_TOKEN, Priority.GENERATION, salt, route=salt)
    async for output in engine.generate(longer):
        cached_tokens = output.cached_tokens
    if cached_tokens is None or cached_tokens >= len(prefix):
        return ""
    return (
        f"the engine found {cached_tokens} of {len(prefix)} warmed tokens again: prefix caching is off, or this model "
        "(sliding window, hybrid) does not cache in whole blocks"
    )
