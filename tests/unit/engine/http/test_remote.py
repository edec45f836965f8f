"""Answers over HTTP: what is asked, and what comes back."""

import asyncio

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.engine import warm
from forefill_service.engine.http import RemoteEngine
from forefill_service.errors import EngineRefused

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.remote_engine import remote_engine, remote_settings
from tests.support.remote_requests import BLOCK, PROMPT, answer, request


async def test_an_answer_over_http_is_the_engines_own(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        outputs = await answer(engine, request())
    plain = await answer(server.engine, request())
    assert "".join(output.text for output in outputs) == "".join(output.text for output in plain)
    assert [output.token_ids for output in outputs] == [output.token_ids for output in plain]
    assert outputs[-1].finish_reason == plain[-1].finish_reason == "stop"


async def test_what_was_found_cached_comes_with_the_last_part(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        assert await warm(engine, PROMPT[: 2 * BLOCK]) == 0
        outputs = await answer(engine, request())
    assert [output.cached_tokens for output in outputs] == [None] * 5 + [2 * BLOCK]


async def test_a_count_of_nothing_may_be_left_out_by_a_server_that_tells(server: FakeVllm) -> None:
    server.faults.tells_zero = False
    async with remote_engine(server) as engine:
        assert await warm(engine, PROMPT) == 0
        assert await warm(engine, PROMPT) == len(PROMPT) // BLOCK * BLOCK
    server.faults.tells_cached = False
    async with remote_engine(server) as engine:
        assert await warm(engine, PROMPT) is None


async def test_the_whole_room_is_asked_for_where_the_caller_sets_no_limit(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        await answer(engine, request())
        await answer(engine, request(sampling=Sampling(max_tokens=3)))
    room = server.engine.info.context_tokens - len(PROMPT)
    assert [asked["max_tokens"] for asked in server.bodies[1:]] == [room, 3]


async def test_a_prompt_that_leaves_no_room_is_not_even_sent(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        with pytest.raises(EngineRefused):
            await answer(engine, request(prompt_ids=[1] * engine.info.context_tokens))
    assert len(server.bodies) == 1


async def test_priorities_are_left_out_where_the_server_has_none(server: FakeVllm) -> None:
    server.faults.priorities = False
    async with remote_engine(server) as engine:
        await warm(engine, PROMPT)
    assert "priority" not in server.bodies[-1]


async def test_the_route_goes_to_the_router_as_a_hash(server: FakeVllm) -> None:
    async with remote_engine(server, affinity_header="X-Key") as engine:
        for route in ("tenant/anna", "tenant/anna", "tenant/bert", ""):
            await answer(engine, request(route=route))
    keys = [headers.get("X-Key") for headers in server.headers[1:]]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] is None
    assert "anna" not in str(server.headers)


async def test_an_applications_own_request_carries_what_ours_carry(server: FakeVllm) -> None:
    async with remote_engine(server, affinity_header="X-Key") as one:
        engine = RemoteEngine(one.client.endpoint, one.client.served, remote_settings(server.url), rank=3)
        async for _ in engine.client.outputs(request(route="anna"), 1):
            pass
        told = engine.openai_headers("anna")
        assert told == {name: server.headers[-1][name] for name in ("X-Session-ID", "X-data-parallel-rank")}
        assert told["X-data-parallel-rank"] == "3"
        assert one.openai_headers("") == {}


async def test_giving_up_an_answer_aborts_it_on_the_server() -> None:
    async with fake_vllm(block_size=BLOCK) as server, remote_engine(server) as engine:
        server.faults.stall_after = 1
        reader = asyncio.create_task(answer(engine, request()))
        await server.until(lambda: len(server.engine.requests) == 2)
        reader.cancel()
        await server.until(lambda: server.engine.aborted == 1)
