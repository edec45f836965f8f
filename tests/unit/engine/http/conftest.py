"""A vLLM server without a model whose answers are six tokens long."""

from collections.abc import AsyncIterator

import pytest

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.remote_requests import BLOCK


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with fake_vllm(block_size=BLOCK, answer_tokens=6) as server:
        yield server
