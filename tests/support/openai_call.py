"""An application's own chat-completions call, by openai-python, on what a hand-off told it."""

import ssl
from typing import Any

from forefill_client import HandedOffRequest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from openai.types import CompletionUsage

SECONDS_TO_GIVE_UP = 120


async def asks(
    handed: HandedOffRequest, *, api_key: str = "none", tls: ssl.SSLContext | None = None, **more: Any
) -> tuple[str, CompletionUsage]:
    """Stream the answer; return its text, or the arguments of a tool that it calls, and its usage."""
    said, usage = "", None
    async with AsyncOpenAI(
        base_url=handed.base_url,
        api_key=api_key,
        max_retries=0,
        timeout=SECONDS_TO_GIVE_UP,
        http_client=None if tls is None else DefaultAsyncHttpxClient(verify=tls),
    ) as openai:
        request = {**handed.for_openai(), "stream": True, "stream_options": {"include_usage": True}, **more}
        async for chunk in await openai.chat.completions.create(**request):
            usage = chunk.usage or usage
            for delta in (choice.delta for choice in chunk.choices):
                called = [call.function.arguments or "" for call in delta.tool_calls or () if call.function]
                said += "".join([delta.content or "", *called])
    assert usage is not None
    return said, usage


def cached(usage: CompletionUsage) -> int:
    """Return the prompt tokens that the engine found cached."""
    assert usage.prompt_tokens_details is not None
    return usage.prompt_tokens_details.cached_tokens or 0
