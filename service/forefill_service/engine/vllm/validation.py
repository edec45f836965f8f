"""vLLM's own validation of a sampling, before there is a prompt.

vLLM does the same with each request, on the event loop that all sessions share, and a regular expression may take it
seconds. So it is first done on a thread, when a session opens, and what takes long is refused. The first time is not
counted: grammars are compiled then, and libraries loaded.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ...errors import EngineSlow, Reason, Refusal
from ..causes import cause_of_error
from .chat_endpoint import on_a_new_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from vllm import SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

SECONDS = 2.0
"""After this long it is given up."""
EVERY_TIME_SECONDS = 0.1
"""The most that each request may hold up all sessions for."""
WAIT_SECONDS = 8.0
"""How long a session waits until it is its turn: what was given up may go on in native code."""


class _TooSlow(Exception):
    """Raised if vLLM needs long for a sampling, however often it has checked it."""


class Validation:
    """Validates for one vLLM, one sampling after the other."""

    def __init__(self, vllm: AsyncLLM) -> None:
        self._vllm = vllm
        self._turn = asyncio.Semaphore(1)

    async def validate(self, make: Callable[[], SamplingParams]) -> None:
        """Have vLLM say what it thinks of the parameters that this makes.

        Raises Refusal: INVALID_SAMPLING with what vLLM's refusal is about, or if it takes too long; TOO_MANY_SESSIONS
        if it is never this one's turn.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise Refusal(Reason.TOO_MANY_SESSIONS, "the samplings of others are still checked") from None
        try:
            await on_a_new_thread(lambda: self._check(make), SECONDS, "checked a sampling", at_end=self._turn.release)
        except (EngineSlow, _TooSlow):
            cause = "vLLM needs too long to check it; make the structure simpler"
            raise Refusal(Reason.INVALID_SAMPLING, cause) from None
        except Exception as error:  # grammars are parsed by several libraries
            raise Refusal(Reason.INVALID_SAMPLING, cause_of_error(error)) from error

    def _check(self, make: Callable[[], SamplingParams]) -> None:
        for again in (False, True):
            params, began_at = make(), time.perf_counter()
            self._verify(params)
            seconds = time.perf_counter() - began_at
            if seconds <= EVERY_TIME_SECONDS:
                return
            if again:
                raise _TooSlow

    def _verify(self, params: SamplingParams) -> None:
        config, tokenizer = self._vllm.vllm_config, self._vllm.renderer.get_tokenizer()
        params.verify(config.model_config, config.speculative_config, config.structured_outputs_config, tokenizer)
        params.update_from_tokenizer(tokenizer)
