"""What is started once for all tests on real vLLM: two servers, for those about replicas, and vLLM's own renderers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from forefill_service.engine.http import RemoteEngine, connect
from forefill_service.engine.packaged_model import packaged_model_path

from tests.support.replicas import settings_for
from tests.support.tokenizers import HARMONY, NoTokenizer, model_directory
from tests.support.vllm_server import HttpProcess, running, vllm_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.vllm_rendering import ModelChats

Servers = tuple[HttpProcess, HttpProcess]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def started_servers() -> AsyncIterator[Servers]:
    first, second = vllm_server(), vllm_server()
    async with running(first, second):
        yield first, second


@pytest_asyncio.fixture(loop_scope="session")
async def two_servers(started_servers: Servers) -> Servers:
    """Started once a run, and again where a test before left one dead."""
    for server in started_servers:
        if not server.alive:
            await server.start()
    return started_servers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm_over_http(started_servers: Servers) -> AsyncIterator[RemoteEngine]:
    """One of them, alone."""
    [engine] = await connect(settings_for(started_servers[0].url))
    yield engine
    await engine.close()


@pytest.fixture(scope="session")
def packaged_model() -> Iterator[ModelChats]:
    """The packaged model's chats, as vLLM and as forefill render them."""
    from tests.support.vllm_rendering import ModelChats  # it imports all of vLLM

    model = ModelChats(packaged_model_path())
    yield model
    model.close()


@pytest.fixture(scope="session")
def gpt_oss() -> Iterator[ModelChats]:
    """The same for gpt-oss, without weights."""
    from tests.support.vllm_rendering import ModelChats

    try:
        model = ModelChats(model_directory(HARMONY))
    except NoTokenizer as reason:
        pytest.skip(f"no tokenizer of gpt-oss: {reason}")
    yield model
    model.close()
