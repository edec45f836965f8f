"""vLLM in this process's charge: `AsyncLLM` with prefix caching and priority scheduling.

vLLM is imported where it is used: everything else of the service works, and is tested, without it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from ...chat.generation import Output, Sampling
from ...chat.template import HfChat
from ...errors import EngineDied, EngineRefused, EngineStartError, Refusal
from ..base import EngineInfo, EngineLoad, Request
from ..one_line import one_line
from ..packaged_model import PACKAGED_MODEL_NAME, PackagedModelError, packaged_model_path
from ..probes import NO_CHAT_TEMPLATE, RENDERING_PROBE
from ..rendezvous import ranked
from .children import ChildOutput, start_with_sigint_blocked
from .kv_events import CacheEvents
from .load import LoadReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from vllm import SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

    from ...cache.blocks import CacheChange
    from ...settings import Settings

log = logging.getLogger(__name__)

CPU_DEFAULTS = {
    "block_size": 32,  # the CPU's attention needs a multiple of it, and vLLM's own default of 128 warms too coarsely
    "enforce_eager": True,  # compilation takes minutes on a CPU
    "max_num_batched_tokens": 512,  # a step of the engine stays short: a running answer waits for it
}
CPU_CACHE_GIB = 1.0
ROUND_TRIP_EVERY_SECONDS = 5.0
ROUND_TRIP_SECONDS = 60.0
"""A round trip takes milliseconds, but waits for the step that runs."""

_SAMPLING_DEFAULTS: dict[str, Any] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
}
"""As vLLM's chat endpoint has them where neither the caller nor the model says anything."""


class EmbeddedEngine:
    """An `Engine` on vLLM. `vllm` is public for tests that compare with vLLM's own rendering."""

    def __init__(self, started: _Started, chat: HfChat) -> None:
        self.vllm = started.vllm
        config = self.vllm.vllm_config
        cache = config.cache_config
        defaults = _SAMPLING_DEFAULTS | config.model_config.get_diff_sampling_param()
        default_answer_tokens = defaults.pop("max_tokens", None)
        self._sampling_defaults = defaults
        self.info = EngineInfo(
            started.model_name,
            cache.block_size,
            config.model_config.max_model_len,
            cache.num_gpu_blocks,
            default_answer_tokens,
            penalizes=bool(defaults["presence_penalty"] or defaults["frequency_penalty"]),
            caches=config.parallel_config.data_parallel_size,
        )
        self.name = "embedded"
        self.chat = chat
        self._ranks = [str(rank) for rank in range(config.parallel_config.data_parallel_size)]
        self._load = started.load
        self._cache_events = started.cache_events
        self._ids = count(1)
        self._closed = False

    @classmethod
    def start(cls, settings: Settings) -> EmbeddedEngine:
        """Start vLLM; it takes about 40 s on a CPU, and no event loop needs to run.

        Raises EngineStartError with one line of cause: no such model, no memory, a model that cannot chat.
        """
        output = ChildOutput(quiet_start=not log.isEnabledFor(logging.DEBUG))
        try:
            with output.captured():
                started = start_with_sigint_blocked(partial(_start_vllm, settings))
        except EngineStartError:
            raise
        except Exception as error:  # vLLM raises anything, from torch's errors to pydantic's
            log.debug("the engine did not start", exc_info=True)
            cause = output.cause() or one_line(error, type(error).__name__)
            model = settings.engine.model or "the packaged model"
            raise EngineStartError(
                f"the engine did not start with {model}: {cause} (--log-level debug shows all of it)"
            ) from error
        try:
            return cls(started, _chat(started.vllm, settings))
        except Refusal as refusal:
            started.stop()
            cause = f"the model cannot chat: {refusal}; give another template with --chat-template FILE"
            raise EngineStartError(cause) from refusal
        except BaseException:
            started.stop()
            raise

    @property
    def load(self) -> EngineLoad:
        """As vLLM's scheduler told with its last step."""
        return self._load.latest

    @property
    def up(self) -> bool:
        """Always: whether it has died is found out by asking it."""
        return True

    async def watch(self) -> None:
        """Make a round trip to vLLM's processes, again and again: their own health check does not see a hang."""
        while True:
            await asyncio.sleep(ROUND_TRIP_EVERY_SECONDS)
            try:
                async with asyncio.timeout(ROUND_TRIP_SECONDS):
                    await self.vllm.is_sleeping()
            except TimeoutError:
                raise EngineDied(f"vLLM's engine process has not answered for {ROUND_TRIP_SECONDS:g} s") from None
            except Exception as error:
                raise EngineDied("vLLM's engine process has died") from error

    async def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Yield vLLM's KV events, where they are on."""
        if self._cache_events is not None:
            async for change in self._cache_events.changes():
                yield change

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request on vLLM."""
        from vllm.exceptions import VLLMClientError, VLLMError
        from vllm.inputs.engine import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError

        max_tokens = self.info.answer_tokens(len(request.prompt_ids), request.sampling.max_tokens)
        outputs = self.vllm.generate(
            tokens_input(request.prompt_ids, cache_salt=request.cache_salt),
            self._sampling_params(request.sampling, max_tokens),
            f"forefill-{next(self._ids)}",
            priority=int(request.priority),
            data_parallel_rank=self._rank(request.route),
        )
        try:
            async for output in outputs:
                part = output.outputs[0]
                yield Output(part.text, tuple(part.token_ids), output.num_cached_tokens or 0, part.finish_reason)
        except EngineDeadError as error:
            raise EngineDied("vLLM's engine process has died") from error
        except (VLLMClientError, VLLMError, ValueError) as error:
            if self.vllm.errored:
                raise EngineDied("vLLM's engine process has died") from error
            raise EngineRefused(one_line(error, type(error).__name__)) from error
        finally:
            await outputs.aclose()

    async def close(self) -> None:
        """Stop vLLM and its processes."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self.vllm.shutdown)
            if self._cache_events is not None:
                self._cache_events.close()
            # Its __del__ shuts down once more, when the interpreter's end has already taken its module apart.
            self.vllm.shutdown = lambda timeout=None: None

    def _rank(self, route: str) -> int | None:
        """Return which of vLLM's data-parallel engines a route falls to; each has a cache of its own."""
        return int(ranked(route, self._ranks)[0]) if len(self._ranks) > 1 and route else None

    def _sampling_params(self, sampling: Sampling, max_tokens: int) -> SamplingParams:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        given = {name: getattr(sampling, name) for name in _SAMPLING_DEFAULTS}
        return SamplingParams(
            **self._sampling_defaults | {name: value for name, value in given.items() if value is not None},
            max_tokens=max_tokens,
            seed=sampling.seed,
            stop=list(sampling.stop),
            output_kind=RequestOutputKind.DELTA,
        )


@dataclass(frozen=True, slots=True)
class _Started:
    """vLLM, and what we hear from it beside its answers."""

    vllm: AsyncLLM
    model_name: str
    load: LoadReader
    cache_events: CacheEvents | None

    def stop(self) -> None:
        self.vllm.shutdown()
        if self.cache_events is not None:
            self.cache_events.close()


def _start_vllm(settings: Settings) -> _Started:
    try:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise EngineStartError(
            f"vLLM is not installed ({error}); install forefill with its extra 'vllm' or 'cpu'"
        ) from error

    model, name = settings.engine.model, settings.engine.model
    if not model:
        try:
            model, name = str(packaged_model_path()), PACKAGED_MODEL_NAME
        except PackagedModelError as error:
            raise EngineStartError(str(error)) from error
    arguments: dict[str, Any] = {
        "model": model,
        "enable_prefix_caching": True,
        "scheduling_policy": "priority",
        "disable_log_stats": True,
    }
    cache_gib = settings.engine.cache_gib
    if current_platform.is_cpu():
        arguments |= CPU_DEFAULTS
        cache_gib = cache_gib or CPU_CACHE_GIB  # left to itself, vLLM takes 92% of the machine's memory
    if cache_gib is not None:
        arguments["kv_cache_memory_bytes"] = int(cache_gib * 2**30)
    if settings.engine.block_size is not None:
        arguments["block_size"] = settings.engine.block_size
    if settings.engine.context_tokens is not None:
        arguments["max_model_len"] = settings.engine.context_tokens
    several_caches = settings.engine.args.get("data_parallel_size", 1) > 1
    tells = settings.engine.kv_events and not several_caches and "kv_events_config" not in settings.engine.args
    events = CacheEvents() if tells else None
    if events is not None:
        arguments["kv_events_config"] = events.config()
    load = LoadReader()
    vllm = AsyncLLM.from_engine_args(
        AsyncEngineArgs(**arguments | settings.engine.args), stat_loggers=[load.stat_logger()]
    )
    return _Started(vllm, name, load, events)


def _chat(vllm: AsyncLLM, settings: Settings) -> HfChat:
    """Return the template and tokenizer that vLLM's own chat endpoint would use, checked against it."""
    from vllm.renderers.chat_utils import load_chat_template
    from vllm.renderers.hf import HfRenderer, resolve_chat_template, resolve_chat_template_content_format
    from vllm.renderers.params import ChatParams

    renderer, config = vllm.renderer, vllm.vllm_config.model_config
    if not isinstance(renderer, HfRenderer):
        raise EngineStartError(
            f"vLLM renders this model's chats with {type(renderer).__name__}, and forefill knows Hugging Face "
            'templates alone; if the model has one, set --engine-args \'{"tokenizer_mode": "hf"}\''
        )
    tokenizer = renderer.get_tokenizer()
    given = load_chat_template(settings.engine.chat_template) if settings.engine.chat_template else None
    template = resolve_chat_template(tokenizer, given, None, model_config=config)
    if template is None:
        raise EngineStartError(NO_CHAT_TEMPLATE)
    content_format = resolve_chat_template_content_format(given, None, "auto", tokenizer, model_config=config)
    chat = HfChat(tokenizer, template, content_format)

    ours = chat.encode(chat.render([RENDERING_PROBE], {}))
    flags = {"add_generation_prompt": True, "continue_final_message": False, "tokenize": False}
    params = ChatParams(chat_template=given, chat_template_kwargs=flags)
    _, [theirs] = renderer.render_chat([[{"role": RENDERING_PROBE.role, "content": RENDERING_PROBE.content}]], params)
    if ours != list(theirs["prompt_token_ids"]):
        raise EngineStartError("forefill does not render this model's chat as vLLM does, so answers would differ")
    return chat
