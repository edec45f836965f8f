"""Real vLLM in this process's charge, for tests."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.settings import Settings


@asynccontextmanager
async def started(**settings: Any) -> AsyncIterator[EmbeddedEngine]:
    """Start vLLM with the packaged model within the block; this takes about 40 s."""
    # Tests that ran before may have started gRPC's threads, which a fork would not survive.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # The tests' own work needs a CPU, too: all threads of a step wait for the slowest.
    os.environ.setdefault("VLLM_CPU_NUM_OF_RESERVED_CPU", "1")
    engine = EmbeddedEngine.start(Settings(**settings))
    try:
        yield engine
    finally:
        await engine.close()
