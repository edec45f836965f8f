"""vLLM without weights: a model directory's own configuration and rendering, and answers that a test writes."""

from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.engine.vllm.chat import vllm_chat
from forefill_service.engine.vllm.load import LoadReader
from forefill_service.engine.vllm.rendering import VllmRendering
from forefill_service.engine.vllm.start import StartedVllm

from .vllm_rendering import ModelChats


class WeightlessVllm:
    """Takes the place of `AsyncLLM`: answers every prompt with `answer`, token by token, all of the prompt cached."""

    errored = False

    def __init__(self, model: ModelChats, answer: Sequence[int]) -> None:
        self.renderer, self.vllm_config = model.renderer, model.config
        self.answer = answer

    async def generate(self, prompt: Any, params: Any, request_id: str, **_: Any) -> AsyncIterator[Any]:
        cached = len(prompt["prompt_token_ids"])
        answer = self.answer[: params.max_tokens]
        for at, token in enumerate(answer, start=1):
            part = SimpleNamespace(text="?", token_ids=[token], finish_reason="stop" if at == len(answer) else None)
            yield SimpleNamespace(outputs=[part], num_cached_tokens=cached)

    async def is_sleeping(self) -> bool:
        return False

    def shutdown(self, timeout: float | None = None) -> None:
        """Stop nothing."""


def weightless_engine(model: ModelChats, answer: Sequence[int], template: Any = None) -> EmbeddedEngine:
    """Return forefill's embedded engine on it; `template` replaces the fast path's."""
    vllm: Any = WeightlessVllm(model, answer)
    started = StartedVllm(vllm, "weightless", LoadReader(), None)
    return EmbeddedEngine(started, vllm_chat(vllm, template), VllmRendering(vllm, template))
