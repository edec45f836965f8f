"""Tenants on real vLLM: nobody finds what another tenant has cached, and everybody what their own has."""

import secrets
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings

from tests.support.wire import GREEDY, Typist

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

TEXT = "Show the names of all makers with more than three models and order them by name please "
SETTINGS = Settings(port=0, metrics_port=-1, pregeneration=False, tenant_metadata_key="x-tenant", insecure=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(embedded_engine: EmbeddedEngine) -> AsyncIterator[RunningServer]:
    async with running_server([embedded_engine], SETTINGS) as server:
        yield server


def new_system() -> str:
    """Return a system message that nobody has used, of as many tokens as any other: each digit is one.

    The answer to a SUBMIT leaves the last whole block of its prompt cached. Whether that was warmed before depends on
    where the prompt ends.
    """
    return f"{secrets.randbelow(10**16):016d} " + "You translate questions into SQL. " * 20


async def computed_and_cached(server: RunningServer, tenant: str, system: str, **opening: object) -> list[int]:
    """Type the text as this tenant; return the tokens that were computed ahead, and those that the answer found."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        typist = Typist(KeystrokeServiceStub(channel).Compose(metadata=grpc.aio.Metadata(("x-tenant", tenant))))
        messages = [pb.ChatMessage(role="system", content=system)]
        await typist.call.write(pb.ComposeRequest(open=pb.Open(messages=messages, sampling=GREEDY, **opening)))  # type: ignore[arg-type]
        await typist.read()
        await typist.type(TEXT)
        await typist.flush()
        answer = await typist.submit()
        await typist.end()
    return [answer.finished.ledger.computed_tokens, answer.cached_tokens]


async def test_a_tenant_finds_its_own_blocks_and_nobody_elses(server: RunningServer) -> None:
    system = new_system()
    first, cached = await computed_and_cached(server, "acme", system)
    assert first == cached > 64
    assert await computed_and_cached(server, "acme", system) == [0, cached]
    assert await computed_and_cached(server, "bank", system) == [first, cached], "all of it is computed again"


async def test_the_same_secret_of_a_client_finds_nothing_in_another_tenant(server: RunningServer) -> None:
    system = new_system()
    secret = {"cache_scope": pb.CACHE_SCOPE_SESSION, "cache_secret": b"s" * 16}
    first, cached = await computed_and_cached(server, "acme", system, **secret)
    assert first > 0
    assert await computed_and_cached(server, "acme", system, **secret) == [0, cached]
    assert (await computed_and_cached(server, "bank", system, **secret))[0] == first
