"""Which parsers a server has is found out when it comes up; what they take apart, its chat endpoint answers."""

from collections.abc import AsyncIterator

import pytest
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine.http.parsers import Parsers
from forefill_service.engine.probes import TOOL

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.refusing_chat import RefusingChat
from tests.support.remote_engine import remote_engine

TALK = Conversation((ChatMessage("user", "How many?"),))
WITH_TOOLS = Conversation(TALK.messages, tools=(TOOL,))
NO_CALL = Conversation(TALK.messages, tools=(TOOL,), tool_choice="none")


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with fake_vllm(answer_tokens=3) as server:
        yield server


@pytest.mark.parametrize(
    ("thoughts", "calls", "splits"),
    [
        (False, False, (False, False, False)),
        (False, True, (False, True, True)),
        (True, False, (True, True, True)),
        (True, True, (True, True, True)),
    ],
)
async def test_what_the_parsers_of_a_server_take_apart_it_answers_itself(
    server: FakeVllm, thoughts: bool, calls: bool, splits: tuple[bool, ...]
) -> None:
    server.parses_thoughts, server.parses_calls = thoughts, calls
    async with remote_engine(server) as engine:
        endpoint = engine.chat_endpoint
        assert engine.client.parsers == Parsers(thoughts, calls)
        assert tuple(endpoint.splits(talk) for talk in (TALK, WITH_TOOLS, NO_CALL)) == splits
        assert tuple(endpoint.answers_itself(talk) for talk in (TALK, WITH_TOOLS, NO_CALL)) == splits


async def test_a_server_is_asked_with_words_of_ours_for_one_token(server: FakeVllm) -> None:
    async with remote_engine(server):
        [asked] = server.questions
    assert (asked["max_tokens"], asked["temperature"]) == (1, 0)
    assert "tools" not in asked


async def test_a_server_whose_template_refuses_the_question_is_taken_to_have_none(server: FakeVllm) -> None:
    server.parses_thoughts = True
    server.chat = RefusingChat("no question alone")
    async with remote_engine(server) as engine:
        assert engine.client.parsers == Parsers()


async def test_a_server_that_has_started_again_with_other_flags_is_asked_again(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        assert not engine.chat_endpoint.splits(TALK)
        server.faults.status = 500
        await engine.monitor.probe()
        assert not engine.up
        server.faults.status, server.parses_thoughts = None, True
        await engine.monitor.probe()
        assert engine.up
        assert engine.chat_endpoint.splits(TALK)


async def test_a_server_whose_answer_makes_no_sense_is_not_up_yet(server: FakeVllm) -> None:
    server.faults.says["/v1/chat/completions"] = b"[]"
    async with remote_engine(server) as engine:
        assert not engine.up
        del server.faults.says["/v1/chat/completions"]
        await engine.monitor.probe()
        assert engine.up
