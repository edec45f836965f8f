"""Starts vLLM: its arguments from our settings, its processes out of reach of Ctrl-C, one line of cause on failure.

vLLM is imported where it is used: everything else of the service works, and is tested, without it.
"""

from __future__ import annotations

import logging
import os
import platform
import traceback
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import EngineStartError
from ...orphans import claim_children
from ..one_line import one_line
from ..packaged_model import PACKAGED_MODEL_NAME, packaged_model_path
from .children import ChildOutput, start_with_sigint_blocked
from .kv_events import CacheEvents
from .load import LoadReader
from .processes import EngineProcesses, children_since

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vllm.v1.engine.async_llm import AsyncLLM

    from ...settings import EngineSettings

log = logging.getLogger(__name__)

CPU_DEFAULTS: dict[str, Any] = {
    "block_size": 32,  # the CPU's attention needs a multiple of it, and vLLM's own default of 128 warms too coarsely
    "enforce_eager": True,  # compilation takes minutes on a CPU
    "max_num_batched_tokens": 512,  # short steps: a running answer waits for the step that computes a warm
}
CPU_CACHE_GIB = 1.0
FEW_CPUS = 2


def packaged_model_defaults() -> dict[str, Any]:
    """Return vLLM's arguments for the packaged model on this machine's CPU.

    An x86-64 CPU without AVX-512 multiplies bfloat16 matrices a hundred times slower than float32 ones; the model is
    small enough for float32. A model of the user's own may not be, so its type is left to vLLM.
    """
    if slow_in_bfloat16(platform.machine(), Path("/proc/cpuinfo").read_text()):
        return CPU_DEFAULTS | {"dtype": "float32"}
    return CPU_DEFAULTS


def slow_in_bfloat16(machine: str, cpuinfo: str) -> bool:
    """Return whether a CPU multiplies bfloat16 matrices one number at a time, by what /proc/cpuinfo says of it."""
    return machine == "x86_64" and "avx512f" not in cpuinfo.split()


def cpu_environment(cpus: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what vLLM's environment lacks on a machine with so many CPUs.

    vLLM leaves one to its scheduler. Of two that is half of them, and a prompt takes 1.8 times as long.
    """
    chosen = "VLLM_CPU_OMP_THREADS_BIND", "VLLM_CPU_NUM_OF_RESERVED_CPU"
    if cpus > FEW_CPUS or any(name in environment for name in chosen):
        return {}
    return {"VLLM_CPU_NUM_OF_RESERVED_CPU": "0"}


def eager_environment(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a vLLM that is not to compile its model lacks so that it compiles nothing else on a CPU, either.

    It compiles a function for the first request that asks for logprobs: that takes 8 to 28 s, in which it answers
    nobody, and without a C++ compiler it dies of it.
    """
    if arguments.get("enforce_eager") and "TORCHDYNAMO_DISABLE" not in environment:
        return {"TORCHDYNAMO_DISABLE": "1"}
    return {}


@dataclass(frozen=True, slots=True)
class StartedVllm:
    """vLLM, and what it reports apart from its answers. There are no `cache_events` if they are off.

    `adapters` are the directories of LoRA adapters, by name.
    """

    vllm: AsyncLLM
    model_name: str
    load: LoadReader
    cache_events: CacheEvents | None
    adapters: Mapping[str, str] = field(default_factory=dict)
    processes: EngineProcesses = field(default_factory=EngineProcesses)

    def stop(self) -> None:
        """Stop vLLM and its processes."""
        self.vllm.shutdown()
        if self.cache_events is not None:
            self.cache_events.close()


def start_vllm(settings: EngineSettings) -> StartedVllm:
    """Start vLLM; it takes about 40 s on a CPU, and needs no running event loop.

    Raises EngineStartError with one line of cause: no such model, or not enough memory.
    """
    output = ChildOutput(quiet_start=not log.isEnabledFor(logging.DEBUG))
    try:
        with output.captured():
            return start_with_sigint_blocked(partial(_start, settings))
    except EngineStartError:
        raise
    except Exception as error:  # vLLM raises many types, from torch's errors to pydantic's
        log.debug("the engine did not start\n%s", traceback.format_exc())  # nobody has typed anything yet
        cause = output.cause() or one_line(error, type(error).__name__)
        model = settings.model or "the packaged model"
        raise EngineStartError(
            f"the engine did not start with {model}: {cause} (--log-level debug shows all of it)"
        ) from error


def _start(settings: EngineSettings) -> StartedVllm:
    try:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise EngineStartError(
            f"vLLM is not installed ({error}); install forefill with its extra 'vllm' or 'cpu'"
        ) from error

    model, name = settings.model, settings.model
    if not model:
        model, name = str(packaged_model_path()), PACKAGED_MODEL_NAME
    on_cpu = current_platform.is_cpu()
    if on_cpu:
        os.environ |= cpu_environment(len(os.sched_getaffinity(0)), os.environ)
    arguments = _arguments(settings, model, on_cpu=on_cpu)
    cache_events = CacheEvents() if _reports_cache_events(settings) else None
    if cache_events is not None:
        arguments["kv_events_config"] = cache_events.config()
    arguments |= settings.args
    if on_cpu:
        os.environ |= eager_environment(arguments, os.environ)
    claim_children()
    load, before = LoadReader(), active_children()
    vllm = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments), stat_loggers=[load.stat_logger()])
    started, parallel = children_since(before), vllm.vllm_config.parallel_config
    processes = EngineProcesses.of(started, parallel, on_cpu=on_cpu)
    return StartedVllm(vllm, name, load, cache_events, settings.adapters, processes)


def _arguments(settings: EngineSettings, model: str, *, on_cpu: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": model,
        "enable_prefix_caching": True,
        "scheduling_policy": "priority",
        "disable_log_stats": True,
    }
    cache_gib = settings.cache_gib
    if on_cpu:
        arguments |= CPU_DEFAULTS if settings.model else packaged_model_defaults()
        cache_gib = cache_gib or CPU_CACHE_GIB  # by default vLLM takes 92% of the machine's memory
    if cache_gib is not None:
        arguments["kv_cache_memory_bytes"] = int(cache_gib * 2**30)
    if settings.block_size is not None:
        arguments["block_size"] = settings.block_size
    if settings.reasoning_parser:
        arguments["reasoning_parser"] = settings.reasoning_parser
    if settings.context_tokens is not None:
        arguments["max_model_len"] = settings.context_tokens
    if settings.adapters:
        # With fewer slots, the requests of one adapter wait for those of another.
        arguments |= {"enable_lora": True, "max_loras": len(settings.adapters)}
    return arguments


def _reports_cache_events(settings: EngineSettings) -> bool:
    several_caches = settings.args.get("data_parallel_size", 1) > 1
    return settings.kv_events and not several_caches and "kv_events_config" not in settings.args
