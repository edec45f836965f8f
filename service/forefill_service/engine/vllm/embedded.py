"""An engine on vLLM in this process's charge: `AsyncLLM` with prefix caching and priority scheduling."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from ...chat.generation import Output, Sampling
from ...errors import EngineDied, EngineRefused, EngineStartError, Refusal
from ..accepted import Accepted
from ..base import Engine, EngineInfo, EngineLoad, Request
from ..causes import cause_of_error
from .adapters import Adapters
from .chat import check_chat, vllm_chat
from .chat_endpoint import RENDER_SECONDS, VllmChatEndpoint
from .openai_app import ForeignRequests, openai_app
from .rank import EmbeddedRank
from .rendering import VllmRendering
from .sampling import ModelSampling, logprobs_of
from .start import StartedVllm, start_vllm
from .validation import Validation
from .watch import watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from vllm import SamplingParams

    from ...cache.blocks import CacheChange
    from ...chat.template import HfChat
    from ...settings import Settings


class EmbeddedEngine:
    """An `Engine` on vLLM. `vllm` is public for tests that compare with vLLM's own rendering."""

    def __init__(self, started: StartedVllm, chat: HfChat, rendering: VllmRendering) -> None:
        self.vllm = started.vllm
        config = self.vllm.vllm_config
        self._sampling = ModelSampling.of(config.model_config.get_diff_sampling_param())
        self.info = EngineInfo(
            started.model_name,
            config.cache_config.block_size,
            config.model_config.max_model_len,
            config.cache_config.num_gpu_blocks,
            default_answer_tokens=self._sampling.max_tokens,
            penalizes=self._sampling.penalizes,
            continues_messages=not rendering.harmony,
            vocabulary=config.model_config.get_vocab_size(),
        )
        self.name = "embedded"
        self.chat = chat
        self.chat_endpoint = VllmChatEndpoint(rendering, self.generate, RENDER_SECONDS, self.validate)
        self.rendering = rendering
        self._ranks = config.parallel_config.data_parallel_size
        self._adapters = Adapters(self.vllm, started.adapters)
        self._validation, self._accepted = Validation(self.vllm), Accepted()
        self._load = started.load
        self._cache_events = started.cache_events
        self._processes = started.processes
        self._foreign = ForeignRequests()
        self._ids = count(1)
        self._lost = False
        self._closed = False

    @classmethod
    def start(cls, settings: Settings) -> EmbeddedEngine:
        """Start vLLM; it takes about 40 s on a CPU, and needs no running event loop.

        Raises EngineStartError with one line of cause: no such model, not enough memory, a model that cannot chat.
        """
        started = start_vllm(settings.engine)
        try:
            engine, excludes = settings.engine, settings.engine.exclude_forbidden_tools
            chat = vllm_chat(started.vllm, engine.chat_template, excludes_tools=excludes)
            rendering = VllmRendering(
                started.vllm, engine.chat_template, engine.tool_call_parser, excludes_tools=excludes
            )
            check_chat(chat, rendering)
            return cls(started, chat, rendering)
        except Refusal as refusal:
            started.stop()
            cause = f"the model cannot chat: {refusal}; give another template with --chat-template FILE"
            raise EngineStartError(cause) from refusal
        except BaseException:
            started.stop()
            raise

    def engines(self) -> Sequence[Engine]:
        """Return what sessions are placed on: this engine, or with data parallelism each rank of it."""
        return [EmbeddedRank(self, rank) for rank in range(self._ranks)] if self._ranks > 1 else [self]

    @property
    def load(self) -> EngineLoad:
        """The load that vLLM's scheduler reported with its last step; that of all ranks if there are several."""
        return replace(self._load.latest, others=self._foreign.running)

    def load_of(self, rank: int) -> EngineLoad:
        """Return the load that one rank's scheduler reported with its last step; requests of others may be anywhere."""
        return replace(self._load.of(rank), others=self._foreign.running)

    @property
    def up(self) -> bool:
        """Always True: whether it has died is found out by asking it."""
        return True

    async def watch(self) -> None:
        """Watch vLLM's processes: its own health check does not notice a hang."""
        try:
            await watch(self.vllm, self._processes)
        except EngineDied:
            self._lost = True
            raise

    async def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Yield vLLM's KV events, if they are on."""
        if self._cache_events is not None:
            async for change in self._cache_events.changes():
                yield change

    async def check(self, sampling: Sampling, adapter: str) -> str:
        """Have vLLM validate a sampling as it will at SUBMIT, and load the adapter. No version is known of one."""
        if adapter:
            await self._adapters.load(adapter)
        await self.validate(sampling)
        return ""

    async def validate(self, sampling: Sampling) -> None:
        """Have vLLM say what it thinks of a sampling. Raises Refusal (INVALID_SAMPLING, TOO_MANY_SESSIONS)."""
        if sampling.only_the_engine_knows and not self._accepted.has(sampling):
            await self._validation.validate(lambda: self._sampling_params(sampling))
            self._accepted.add(sampling)

    def openai_headers(self, route: str) -> dict[str, str]:
        """Return no headers: its OpenAI API leads here."""
        return {}

    async def openai_app(self, settings: Settings) -> Any:
        """Return an ASGI application that serves vLLM's own OpenAI API on this engine; its requests are counted.

        Raises EngineStartError with one line of cause.
        """
        app = await openai_app(self.vllm, self.info.model, self._adapters.loaded, settings)
        return self._foreign.counted(app)

    async def generate(self, request: Request, rank: int | None = None) -> AsyncGenerator[Output, None]:
        """Run one request on vLLM, on one of its data-parallel ranks if it has several."""
        from vllm.exceptions import VLLMClientError, VLLMError
        from vllm.inputs.engine import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError

        max_tokens = self.info.answer_tokens(len(request.prompt_ids), request.sampling.max_tokens)
        outputs = self.vllm.generate(
            tokens_input(request.prompt_ids, cache_salt=request.cache_salt),
            self._sampling_params(request.sampling.limited(max_tokens)),
            request.request_id or f"forefill-{next(self._ids)}",
            lora_request=self._adapters.request(request.adapter) if request.adapter else None,
            priority=int(request.priority),
            data_parallel_rank=rank,
            **_thoughts_of(request.sampling),
        )
        try:
            async for output in outputs:
                part = output.outputs[0]
                yield Output(
                    part.text,
                    tuple(part.token_ids),
                    output.num_cached_tokens or 0,
                    part.finish_reason,
                    logprobs=logprobs_of(part, request.sampling.logprobs),
                )
        except EngineDeadError as error:
            raise EngineDied("vLLM's engine process has died") from error
        except (VLLMClientError, VLLMError, ValueError) as error:
            if self.vllm.errored:
                raise EngineDied("vLLM's engine process has died") from error
            raise EngineRefused(cause_of_error(error)) from error
        finally:
            await outputs.aclose()

    async def close(self) -> None:
        """Stop vLLM and its processes; if it is lost, at once: nobody in there would hear of it."""
        if not self._closed:
            self._closed = True
            if self._lost:
                await asyncio.to_thread(self._processes.kill)
            await asyncio.to_thread(self.vllm.shutdown)
            if self._cache_events is not None:
                self._cache_events.close()
            # Its __del__ shuts down once more, when the exiting interpreter has already torn down its module.
            self.vllm.shutdown = lambda timeout=None: None

    def _sampling_params(self, sampling: Sampling) -> SamplingParams:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        arguments = self._sampling.arguments(sampling)
        if "structured_outputs" in arguments:
            arguments["structured_outputs"] = StructuredOutputsParams(**arguments["structured_outputs"])
        return SamplingParams(**arguments, max_tokens=sampling.max_tokens, output_kind=RequestOutputKind.DELTA)


def _thoughts_of(sampling: Sampling) -> dict[str, Any]:
    """Return what vLLM's engine needs to know to find where the model stops thinking, and its structure begins."""
    if (structure := sampling.structure) is None:
        return {}
    return {
        "reasoning_parser_kwargs": {"chat_template_kwargs": dict(structure.template_variables)},
        "reasoning_ended": True if structure.from_the_start else None,
    }
