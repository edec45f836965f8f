"""The chat endpoint of a server as an engine's: it answers conversations that the fast path renders otherwise."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import ChatRequest, FakeChat, Output, Priority, Request
from forefill_service.engine.http import RemoteEngine
from forefill_service.errors import (
    EngineBusy,
    EngineNonsense,
    EngineRefused,
    EngineUnavailable,
    EngineUnreachable,
    Reason,
    Refusal,
)

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.refusing_chat import RefusingChat
from tests.support.remote_engine import remote_engine

WORDS = 6
TALK = Conversation((ChatMessage("system", "You write SQL. " * 8), ChatMessage("user", "How many? ")))
IDS = FakeChat().encode(FakeChat().render(TALK))


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with fake_vllm(block_size=16, answer_tokens=WORDS) as server:
        yield server


def chat_request(**fields: Any) -> ChatRequest:
    return ChatRequest(**{"conversation": TALK, "sampling": Sampling(), "priority": Priority.GENERATION, **fields})


async def answer(engine: RemoteEngine, **fields: Any) -> list[Output]:
    return [output async for output in engine.chat_endpoint.generate(chat_request(**fields))]


async def plain_answer(engine: RemoteEngine) -> list[Output]:
    return [output async for output in engine.generate(Request(IDS, Sampling(), Priority.GENERATION))]


async def test_its_ids_are_the_servers(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.renders = [1, 2, 3]
        assert not engine.chat_endpoint.in_process
        assert await engine.chat_endpoint.ids(TALK) == [1, 2, 3]


async def test_its_answer_is_the_endpoints_with_the_ids_of_the_prompt(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        outputs = await answer(engine)
        plain = await plain_answer(engine)
    assert "".join(output.text for output in outputs) == "".join(output.text for output in plain)
    assert [token for output in outputs for token in output.token_ids] == [
        token for output in plain for token in output.token_ids
    ]
    assert outputs[0].prompt_ids == tuple(IDS)
    assert {output.prompt_ids for output in outputs[1:]} == {None}
    assert outputs[-1].finish_reason == "stop"


async def test_what_was_found_cached_comes_with_the_last_part(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        await plain_answer(engine)
        outputs = await answer(engine)
    assert outputs[-1].cached_tokens == len(IDS) // 16 * 16


async def test_reasoning_is_not_in_the_text_but_counts_as_tokens(server: FakeVllm) -> None:
    server.reasoning_tokens = 4
    async with remote_engine(server) as engine:
        outputs = await answer(engine)
        plain = await plain_answer(engine)
    assert "".join(output.text for output in outputs) == "".join(output.text for output in plain[4:])
    assert sum(len(output.token_ids) for output in outputs) == WORDS


async def test_it_is_asked_what_the_caller_said_and_no_more(server: FakeVllm) -> None:
    asked: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 7, "max_tokens": 4}
    async with remote_engine(server, affinity_header="X-Key") as engine:
        await answer(engine)
        sampling = Sampling(**asked, stop=("x",))
        talk = Conversation(TALK.messages, {"enable_thinking": False})
        await answer(
            engine,
            conversation=talk,
            sampling=sampling,
            priority=Priority.PREGENERATION,
            cache_salt="salt",
            route="tenant/anna",
        )
    plain, all_of_it = server.chats
    assert plain == {
        "model": "fake",
        "messages": [{"role": message.role, "content": message.content} for message in TALK.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_token_ids": True,
    }
    more = {"stop": ["x"], "chat_template_kwargs": {"enable_thinking": False}, "cache_salt": "salt", "priority": 5}
    assert all_of_it == plain | asked | more
    keys = [headers.get("X-Key") for headers in server.chat_headers]
    assert keys[0] is None
    assert "anna" not in str(keys[1])


@pytest.mark.parametrize("parses_calls", [False, True])
async def test_tools_are_given_as_any_client_of_the_server_has_to(server: FakeVllm, parses_calls: bool) -> None:
    server.parses_calls = parses_calls
    tool = {"type": "function", "function": {"name": "beds"}}
    talk = Conversation(TALK.messages, tools=(tool,))
    async with remote_engine(server) as engine:
        outputs = await answer(engine, conversation=talk)
    assert outputs[0].prompt_ids == tuple(FakeChat().encode(FakeChat().render(talk)))
    assert server.chats[-1]["tools"] == [tool]
    assert server.chats[-1].get("tool_choice") == (None if parses_calls else "none")


async def test_a_server_that_does_not_say_the_ids_of_the_prompt_answers_all_the_same(server: FakeVllm) -> None:
    server.says_prompt_ids = False
    async with remote_engine(server) as engine:
        outputs = await answer(engine)
    assert {output.prompt_ids for output in outputs} == {None}
    assert outputs[-1].finish_reason == "stop"


async def test_what_the_template_refuses_is_refused_with_its_reason(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.chat = RefusingChat("zyzzyva: Roles must alternate")
        with pytest.raises(Refusal) as refused:
            await answer(engine)
    assert (refused.value.reason, refused.value.detail) == (Reason.TEMPLATE_REFUSED, "Roles must alternate")


async def test_a_prompt_that_is_too_long_is_refused_as_such(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.chat = RefusingChat("This model's maximum context length is 8192 tokens.")
        with pytest.raises(Refusal) as refused:
            await answer(engine)
    assert refused.value.reason is Reason.PROMPT_TOO_LONG


@pytest.mark.parametrize(("status", "error"), [(503, EngineBusy), (500, EngineUnavailable), (400, EngineRefused)])
async def test_any_other_failure_is_the_one_of_a_completion(
    server: FakeVllm, status: int, error: type[Exception]
) -> None:
    async with remote_engine(server) as engine:
        server.faults.status, server.faults.words = status, "zyzzyva"
        with pytest.raises(error) as failed:
            await answer(engine)
    assert "zyzzyva" not in str(failed.value)


async def test_a_stream_that_is_cut_is_a_loss(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.faults.cut_after = 2
        with pytest.raises(EngineUnavailable, match="before it was complete"):
            await answer(engine)


async def test_ids_that_cannot_be_put_the_server_in_doubt(server: FakeVllm) -> None:
    async with remote_engine(server, probe_seconds=1000) as engine:
        server.faults.says = {"/v1/chat/completions/render": b'{"token_ids": ["zyzzyva"]}'}
        watch = asyncio.create_task(engine.watch())
        asked = len(server.bodies)
        with pytest.raises(EngineNonsense) as nonsense:
            await engine.chat_endpoint.ids(TALK)
        await server.until(lambda: len(server.bodies) > asked)  # the probe
        watch.cancel()
    assert "zyzzyva" not in str(nonsense.value)


async def test_one_that_is_down_is_not_asked(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.faults.status = 500
        await engine.monitor.probe()
        asked = len(server.asked_for_ids)
        with pytest.raises(EngineUnreachable):
            await answer(engine)
        with pytest.raises(EngineUnreachable):
            await engine.chat_endpoint.ids(TALK)
    assert (server.chats, len(server.asked_for_ids)) == ([], asked)


async def test_one_that_comes_back_with_other_flags_is_asked_anew(server: FakeVllm) -> None:
    server.render_status = 403
    async with remote_engine(server) as engine:
        await engine.chat_endpoint.ids(TALK)
        server.faults.status = 500
        await engine.monitor.probe()
        server.faults.status, server.render_status = None, 200
        await engine.monitor.probe()
        del server.asked_for_ids[:]
        await engine.chat_endpoint.ids(TALK)
    assert [path for path, _ in server.asked_for_ids] == ["/v1/chat/completions/render"]
