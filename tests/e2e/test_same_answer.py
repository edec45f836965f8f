"""In float32 an answer does not depend on how its prompt was computed: real vLLM, greedy, through forefill.

In bfloat16 it may, at near ties: `tests/benchmarks/rounding.md`.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_client.keystrokes import SAMPLE_QUERIES, SAMPLE_SCHEMA
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.server import RunningServer, running_server
from forefill_service.session.boundary import last_boundary
from forefill_service.settings import Settings

from tests.support.embedded import started
from tests.support.wire import Answer, Typist, typing_at

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

MESSAGES = [("system", "Write one SQL query. The schema:\n\n" + "\n\n".join(SAMPLE_SCHEMA.split("\n\n")[:4]))]
QUESTIONS = SAMPLE_QUERIES[:3]
SAMPLING = pb.Sampling(temperature=0, max_tokens=12)
SMALLEST_PIECES = Settings(port=0, metrics_port=-1, warm_piece_tokens=1)
"""Each piece is one block: if rounding depends on the size of a piece, these make the largest difference."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def float32_server(embedded_engine: EmbeddedEngine) -> AsyncIterator[RunningServer]:
    """forefill in front of an engine that computes in float32: the one that runs already, if it does."""
    import torch

    if embedded_engine.vllm.model_config.dtype == torch.float32:
        async with running_server([embedded_engine], SMALLEST_PIECES) as server:
            yield server
    else:
        async with (
            started(engine_args={"dtype": "float32"}, cache_gib=0.5) as engine,
            running_server([engine], SMALLEST_PIECES) as server,
        ):
            yield server


async def ask(server: RunningServer, text: str, warm_mode: pb.WarmMode.ValueType, *, typed: bool = False) -> Answer:
    """Ask in a session of its own, which shares no block; if warming is on, after the base prompt was warmed."""
    async with typing_at(
        server.address, MESSAGES, sampling=SAMPLING, cache_scope=pb.CACHE_SCOPE_SESSION, warm_mode=warm_mode
    ) as typist:
        await typist.flush()
        if not typed:
            return await typist.submit(text)
        await type_and_flush_at_boundaries(typist, text)
        return await typist.submit()


async def type_and_flush_at_boundaries(typist: Typist, text: str) -> None:
    start = 0
    for end in range(1, len(text) + 1):
        if last_boundary(text[:end]) == end:
            await typist.type(text[start:end])
            await typist.flush()
            start = end
    await typist.type(text[start:])


async def test_in_float32_an_answer_does_not_depend_on_how_its_prompt_was_computed(
    float32_server: RunningServer,
) -> None:
    off, auto = pb.WARM_MODE_OFF, pb.WARM_MODE_AUTO
    cold = [await ask(float32_server, text, off) for text in QUESTIONS]
    at_once = await asyncio.gather(*(ask(float32_server, text, off) for text in QUESTIONS))
    static = [await ask(float32_server, text, auto) for text in QUESTIONS]
    typed = [await ask(float32_server, text, auto, typed=True) for text in QUESTIONS]

    assert all(answer.cached_tokens == 0 for answer in (*cold, *at_once))
    assert all(answer.cached_tokens > 200 for answer in (*static, *typed))
    assert all(answer.finished.ledger.warms > 5 for answer in typed), "they were computed in small pieces"
    expected = [answer.text for answer in cold]
    assert len(set(expected)) == len(QUESTIONS), "each question has an answer of its own"
    for answers in (at_once, static, typed):
        assert [answer.text for answer in answers] == expected
