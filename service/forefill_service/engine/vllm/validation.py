"""vLLM's own validation of a sampling, before there is a prompt.

vLLM does the same with each request, on the event loop that all sessions share, and a regular expression may take it
seconds. So it is first done on a thread, when a session opens, and what takes long is refused.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...errors import EngineSlow, Reason, Refusal
from ..one_line import one_line
from .chat_endpoint import on_a_new_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm import SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

SECONDS = 2.0


class Validation:
    """Validates for one vLLM, one sampling after the other."""

    def __init__(self, vllm: AsyncLLM) -> None:
        self._vllm = vllm
        self._one_at_a_time = asyncio.Semaphore(1)

    async def validate(self, make: Callable[[], SamplingParams]) -> None:
        """Have vLLM say what it thinks of the parameters that this makes.

        Raises Refusal (INVALID_SAMPLING) in vLLM's words, or if it takes too long.
        """
        async with self._one_at_a_time:
            try:
                await on_a_new_thread(lambda: self._verify(make()), SECONDS, "checked a sampling")
            except EngineSlow:
                cause = f"vLLM needs more than {SECONDS:g} s to check it; make the structure simpler"
                raise Refusal(Reason.INVALID_SAMPLING, cause) from None
            except Exception as error:  # grammars are parsed by several libraries
                raise Refusal(Reason.INVALID_SAMPLING, one_line(error, type(error).__name__)) from error

    def _verify(self, params: SamplingParams) -> None:
        config, tokenizer = self._vllm.vllm_config, self._vllm.renderer.get_tokenizer()
        params.verify(config.model_config, config.speculative_config, config.structured_outputs_config, tokenizer)
        params.update_from_tokenizer(tokenizer)
