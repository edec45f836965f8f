"""Hand-offs, whole: the SDK types at forefill, and openai-python asks a fake vLLM server for the answer."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from forefill_client import (
    AsyncClient,
    ChatMessage,
    FlushResult,
    HandOffNotOffered,
    Ledger,
    Session,
)
from forefill_service.server import RunningServer, running_server

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.openai_call import asks, cached
from tests.support.remote_engine import remote_engine, remote_settings

SYSTEM = ("system", " ".join(f"word-{number}" for number in range(40)))
QUESTION = "Which of all these horses is the fastest one "
IMAGE = {"type": "image_url", "image_url": {"url": "http://pictures/1"}}


@pytest.fixture
async def vllm() -> AsyncIterator[FakeVllm]:
    async with fake_vllm() as server:
        yield server


TENANTS: dict[str, Any] = {"tenant_metadata_key": "x-tenant", "insecure": True, "cache_salt_secret": "secret"}
"""A proxy names them, on a network that nobody else reaches."""


@asynccontextmanager
async def forefill(*servers: FakeVllm, told: bool = True, **settings: Any) -> AsyncIterator[RunningServer]:
    """Run forefill in front of these servers within the block; applications are told where they are."""
    urls = [server.url for server in servers]
    asked = remote_settings(*urls, hand_off_url=urls if told else [], pregeneration=False, **settings)
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(remote_engine(server, **settings)) for server in servers]
        yield await stack.enter_async_context(running_server(engines, asked))


async def warmed(session: Session, confirmed: int | None = None) -> FlushResult:
    """Type the question, and wait until what is confirmed of it is warm."""
    await session.type(QUESTION)
    return await session.flushed(await session.flush(confirmed))


@pytest.mark.parametrize("tenant", ["", "clinic"])
async def test_the_applications_own_call_finds_every_whole_block_that_was_warmed(vllm: FakeVllm, tenant: str) -> None:
    by_tenant: dict[str, Any] = TENANTS if tenant else {}
    ledger: Ledger | None = None
    async with (
        forefill(vllm, **by_tenant) as server,
        AsyncClient.connect(server.address, metadata=[("x-tenant", tenant)] if tenant else []) as client,
        client.session([SYSTEM]) as session,
    ):
        flushed = await warmed(session)
        handed = await session.hand_off()
        answer, usage = await asks(handed)
        assert (usage.prompt_tokens, cached(usage)) == (handed.prompt_tokens, handed.cached_tokens)
        assert cached(usage) >= flushed.cached_tokens > 40
        assert bool(handed.cache_salt) is bool(tenant)
        ledger = await handed.finished(answer, usage=usage)
        assert session.messages[1:] == (ChatMessage("user", QUESTION), ChatMessage("assistant", answer))
        again = await session.submit("And the slowest?")
        assert await again.text()
        assert again.report.cached_tokens >= handed.prompt_tokens // 16 * 16
    assert ledger is not None
    assert ledger.used_tokens == ledger.computed_tokens > 40


async def test_without_the_salt_it_finds_nothing(vllm: FakeVllm) -> None:
    async with (
        forefill(vllm, **TENANTS) as server,
        AsyncClient.connect(server.address, metadata=[("x-tenant", "clinic")]) as client,
        client.session([SYSTEM]) as session,
    ):
        await warmed(session)
        handed = await session.hand_off()
        _, usage = await asks(handed, extra_body={})
        assert cached(usage) == 0 < handed.cached_tokens


async def test_tools_a_schema_and_template_variables_go_with_the_call(vllm: FakeVllm) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    async with (
        forefill(vllm) as server,
        AsyncClient.connect(server.address) as client,
        client.session([SYSTEM], tools=[tool], chat_template_kwargs={"depth": 3}) as session,
    ):
        await warmed(session)
        handed = await session.hand_off()
        _, usage = await asks(handed, response_format=schema)
    asked = vllm.chats[-1]
    assert cached(usage) == handed.cached_tokens > 40
    assert (asked["tools"], asked["response_format"], asked["chat_template_kwargs"]) == ([tool], schema, {"depth": 3})


async def test_what_stands_before_an_image_is_found(vllm: FakeVllm) -> None:
    async with (
        forefill(vllm) as server,
        AsyncClient.connect(server.address) as client,
        client.session([SYSTEM]) as session,
    ):
        await warmed(session, len(QUESTION))
        handed = await session.hand_off()
        messages = handed.for_openai()["messages"]
        messages[-1]["content"] = [{"type": "text", "text": QUESTION}, IMAGE]
        answer, usage = await asks(handed, messages=messages)
        assert usage.prompt_tokens > handed.prompt_tokens
        assert cached(usage) == handed.cached_tokens > 40
        ledger = await handed.finished(answer, usage=usage)
        assert ledger is not None
        assert ledger.used_tokens > 40


@pytest.mark.parametrize(("settings", "header"), [({}, "X-Session-ID"), ({"affinity_header": "x-user"}, "x-user")])
async def test_behind_a_router_the_call_carries_what_the_warms_carry(
    vllm: FakeVllm, settings: dict[str, Any], header: str
) -> None:
    async with (
        forefill(vllm, router=True, router_workers=2, **settings) as server,
        AsyncClient.connect(server.address) as client,
        client.session([SYSTEM]) as session,
    ):
        await warmed(session)
        warm = vllm.headers[-1]
        handed = await session.hand_off()
        await asks(handed)
    assert handed.base_url == f"{vllm.url}/v1"
    assert handed.headers == {header: warm[header]}
    sent = {name.lower(): value for name, value in vllm.chat_headers[-1].items()}
    assert sent[header.lower()] == warm[header]


async def test_each_session_is_told_its_own_server(vllm: FakeVllm) -> None:
    async with (
        fake_vllm() as other,
        forefill(vllm, other) as server,
        AsyncClient.connect(server.address) as client,
        AsyncExitStack() as stack,
    ):
        told = set()
        for number in range(4):
            session = await stack.enter_async_context(client.session([(SYSTEM[0], f"{number} {SYSTEM[1]}")]))
            await warmed(session)
            handed = await session.hand_off()
            _, usage = await asks(handed)
            assert cached(usage) == handed.cached_tokens > 40
            told.add(handed.base_url)
    assert told == {f"{vllm.url}/v1", f"{other.url}/v1"}


async def test_a_server_that_may_not_say_where_its_engine_is_refuses(vllm: FakeVllm) -> None:
    async with (
        forefill(vllm, told=False) as server,
        AsyncClient.connect(server.address) as client,
        client.session([SYSTEM], draft=QUESTION) as session,
    ):
        with pytest.raises(HandOffNotOffered, match="use SUBMIT"):
            await session.hand_off()
        assert session.draft == QUESTION
        assert await (await session.submit()).text()


async def test_a_call_that_fails_leaves_a_session_that_submits(vllm: FakeVllm) -> None:
    async with (
        forefill(vllm) as server,
        AsyncClient.connect(server.address) as client,
        client.session([SYSTEM], draft=QUESTION) as session,
    ):
        handed = await session.hand_off()
        await handed.finished()
        assert session.draft == QUESTION
        await session.flushed(await session.flush())
        assert await (await session.submit()).text()
        assert session.repairs == 0
