"""The ids of a conversation, asked of a server: what is asked where, and what is believed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import FakeChat
from forefill_service.engine.causes import NO_REASON
from forefill_service.engine.http import chat_ids
from forefill_service.engine.http.chat_ids import RENDER, TOKENIZE, ChatIds
from forefill_service.engine.http.endpoint import Endpoint
from forefill_service.engine.http.failures import NotServed
from forefill_service.errors import EngineBusy, EngineNonsense, EngineSlow, EngineUnavailable, Reason, Refusal

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.refusing_chat import RefusingChat
from tests.support.remote_engine import REASONS

TALK = Conversation((ChatMessage("system", "You write SQL."), ChatMessage("user", "How many? ")))


class OtherChat(FakeChat):
    """Renders otherwise if there is reasoning in the history."""

    def render(self, conversation: Conversation) -> str:
        reasoning = any("<think>" in message.content for message in conversation.messages)
        return super().render(conversation) + ("<think>" if reasoning else "")


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with fake_vllm() as server:
        yield server


@asynccontextmanager
async def asking(server: FakeVllm, **how: Any) -> AsyncIterator[ChatIds]:
    endpoint = Endpoint(server.url)
    try:
        yield ChatIds(endpoint, server.model, reasons=REASONS, **how)
    finally:
        await endpoint.close()


def ids_of(conversation: Conversation) -> list[int]:
    chat = FakeChat()
    return chat.encode(chat.render(conversation))


def paths(server: FakeVllm) -> list[str]:
    return [path for path, _ in server.asked_for_ids]


async def test_render_is_asked_first_and_is_the_last_word(server: FakeVllm) -> None:
    server.tokenize_chat = OtherChat()
    async with asking(server) as ids:
        assert await ids.of(TALK) == ids_of(TALK)
    assert paths(server) == [RENDER]


@pytest.mark.parametrize("status", [403, 404, 405, 501])
async def test_a_server_without_render_is_asked_at_tokenize_and_at_render_only_once(
    server: FakeVllm, status: int
) -> None:
    server.render_status = status
    async with asking(server) as ids:
        assert [await ids.of(TALK) for _ in range(2)] == [ids_of(TALK)] * 2
    assert paths(server) == [RENDER, TOKENIZE, TOKENIZE]


async def test_older_releases_answer_in_another_form(server: FakeVllm) -> None:
    server.render_as_older_releases = True
    async with asking(server) as ids:
        assert await ids.of(TALK) == ids_of(TALK)


async def test_what_is_asked_is_the_conversation_as_the_chat_endpoint_would_be_given_it(server: FakeVllm) -> None:
    server.render_status = 403
    async with asking(server) as ids:
        await ids.of(Conversation(TALK.messages, {"enable_thinking": False}))
        await ids.of(TALK)
    (_, render), (_, tokenize), (_, without) = server.asked_for_ids
    assert render == {
        "model": "fake",
        "messages": [{"role": "system", "content": "You write SQL."}, {"role": "user", "content": "How many? "}],
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert tokenize == render | {"add_generation_prompt": True}
    assert "chat_template_kwargs" not in without


async def test_a_router_that_passes_neither_on_leaves_it_open(server: FakeVllm) -> None:
    server.render_status = server.tokenize_status = 404
    async with asking(server) as ids:
        assert [await ids.of(TALK) for _ in range(2)] == [None, None]
        assert not ids.says
    assert paths(server) == [RENDER, TOKENIZE]


async def test_so_does_an_answer_that_holds_no_ids(server: FakeVllm) -> None:
    server.renders = []
    async with asking(server) as ids:
        assert await ids.of(TALK) is None


async def test_of_a_harmony_model_tokenize_is_not_asked(server: FakeVllm) -> None:
    async with asking(server, harmony=True) as ids:
        assert await ids.of(TALK) == ids_of(TALK)
    server.render_status = 403
    async with asking(server, harmony=True) as ids:
        assert await ids.of(TALK) is None
    assert TOKENIZE not in paths(server)


@pytest.mark.parametrize("render_status", [200, 403])
async def test_a_refusal_has_the_reason_that_stands_in_the_template_and_nothing_else(
    server: FakeVllm, render_status: int
) -> None:
    server.render_status, server.chat = render_status, RefusingChat("Roles must alternate, but zyzzyva")
    async with asking(server) as ids:
        with pytest.raises(Refusal) as refused:
            await ids.of(TALK)
        assert ids.says
    assert (refused.value.reason, refused.value.detail) == (Reason.TEMPLATE_REFUSED, "Roles must alternate")


async def test_words_that_are_not_the_templates_are_not_passed_on(server: FakeVllm) -> None:
    server.chat = RefusingChat("zyzzyva in /opt/vllm/secret.py")
    async with asking(server) as ids:
        with pytest.raises(Refusal) as refused:
            await ids.of(TALK)
    assert refused.value.reason is Reason.TEMPLATE_REFUSED
    assert refused.value.detail == f"{NO_REASON} (HTTP status 400)"


@pytest.mark.parametrize("path", [RENDER, TOKENIZE])
@pytest.mark.parametrize("said", ["[1, -1]", '["1"]', "[1.0]", "[true]", '"1"', "7", f"[{2**31}]", "{}"])
async def test_ids_that_cannot_be_are_nonsense(server: FakeVllm, path: str, said: str) -> None:
    server.render_status = 200 if path == RENDER else 403
    field = "token_ids" if path == RENDER else "tokens"
    server.faults.says = {path: f'{{"{field}": {said}}}'.encode()}
    async with asking(server) as ids:
        with pytest.raises(EngineNonsense):
            await ids.of(TALK)


@pytest.mark.parametrize(
    "said", [b"<html>", b"\xff", b"[" * 100_000, b"7", b"[]", b"[1, 2]", b"[1, [2]]", b"{}", b"null"]
)
async def test_what_holds_no_ids_at_all_leaves_it_open(server: FakeVllm, said: bytes) -> None:
    server.tokenize_status, server.faults.says = 404, {RENDER: said}
    async with asking(server) as ids:
        assert await ids.of(TALK) is None


async def test_ids_outside_the_vocabulary_are_nonsense(server: FakeVllm) -> None:
    server.renders = [1, 2, 8]
    async with asking(server, vocabulary=9) as ids:
        assert await ids.of(TALK) == [1, 2, 8]
    async with asking(server, vocabulary=8) as ids:
        with pytest.raises(EngineNonsense):
            await ids.of(TALK)


async def test_a_prompt_that_is_too_long_is_not_the_templates_fault(server: FakeVllm) -> None:
    server.chat = RefusingChat("This model's maximum context length is 8192 tokens. However, your prompt contains 9000")
    async with asking(server) as ids:
        with pytest.raises(Refusal) as refused:
            await ids.of(TALK)
    assert refused.value.reason is Reason.PROMPT_TOO_LONG


@pytest.mark.parametrize(("status", "error"), [(401, NotServed), (503, EngineBusy), (500, EngineUnavailable)])
async def test_a_server_that_cannot_be_asked_is_no_refusal(
    server: FakeVllm, status: int, error: type[Exception]
) -> None:
    server.faults.ids_status = status
    async with asking(server) as ids:
        with pytest.raises(error):
            await ids.of(TALK)


async def test_a_server_that_says_nothing_is_given_up_in_time(
    server: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_ids, "QUESTION_SECONDS", 0.1)
    server.faults.flowing.clear()
    async with asking(server) as ids:
        with pytest.raises(EngineSlow):
            await ids.of(TALK)


REASONED = Conversation((ChatMessage("assistant", "<think>Hm.</think>Two."), *TALK.messages))


async def test_a_tokenize_that_differs_from_the_chat_endpoint_is_not_believed(server: FakeVllm) -> None:
    server.render_status, server.tokenize_chat = 403, OtherChat()
    async with asking(server) as ids:
        assert await ids.of(REASONED) != ids_of(REASONED)
        assert await ids.checked([TALK, REASONED]) == [ids_of(TALK), ids_of(REASONED)], (
            "as the chat endpoint makes them"
        )
        assert await ids.of(REASONED) is None
    assert [asked["max_tokens"] for asked in server.chats] == [1, 1]


async def test_one_that_agrees_is_believed_and_so_is_one_that_cannot_be_compared(server: FakeVllm) -> None:
    server.render_status = 403
    for server.says_prompt_ids in (True, False):
        async with asking(server) as ids:
            assert await ids.checked([TALK, REASONED]) == [ids_of(TALK), ids_of(REASONED)]
            assert await ids.of(REASONED) == ids_of(REASONED)


async def test_render_needs_no_check(server: FakeVllm) -> None:
    async with asking(server) as ids:
        await ids.checked([TALK, REASONED])
    assert server.chats == []


async def test_a_conversation_that_both_refuse_is_no_difference(server: FakeVllm) -> None:
    server.render_status, server.chat = 403, RefusingChat("no")
    async with asking(server) as ids:
        assert await ids.checked([TALK]) == [[]]
        assert ids.says


# --- what a server makes of tools, and what /tokenize cannot know

TOOL = {"type": "function", "function": {"name": "beds"}}
TOOLS = replace(TALK, tools=(TOOL,))


def choices(asked: list[dict[str, Any]]) -> list[str | None]:
    return [body.get("tool_choice") for body in asked if body["messages"][-1]["content"] == "How many? "]


@pytest.mark.parametrize("render_status", [200, 403])
@pytest.mark.parametrize("parses_calls", [True, False])
async def test_tools_are_given_as_any_client_of_the_server_has_to(
    server: FakeVllm, parses_calls: bool, render_status: int
) -> None:
    server.parses_calls, server.render_status = parses_calls, render_status
    async with asking(server) as ids:
        assert await ids.of(TOOLS) == ids_of(TOOLS)
        assert await ids.tool_choice(TOOLS) == ({} if parses_calls else {"tool_choice": "none"})
    assert choices([asked for _, asked in server.asked_for_ids])[-1] == (None if parses_calls else "none")


@pytest.mark.parametrize("render_status", [200, 403])
async def test_a_server_that_excludes_tools_without_calls_is_asked_as_any_client_asks_it(
    server: FakeVllm, render_status: int
) -> None:
    server.excludes_tools, server.render_status = True, render_status
    async with asking(server) as ids:
        assert await ids.of(TOOLS) == ids_of(TOOLS)
        assert await ids.tool_choice(TOOLS) == {}
    assert "tool_choice" not in server.asked_for_ids[-1][1]


async def test_one_that_takes_tools_only_without_calls_and_excludes_them_then_renders_none(server: FakeVllm) -> None:
    server.excludes_tools, server.parses_calls = True, False
    async with asking(server) as ids:
        assert await ids.of(TOOLS) == ids_of(TALK), "as for any client of this server"


async def test_a_server_is_asked_about_tools_only_once_and_only_if_there_are_any(server: FakeVllm) -> None:
    async with asking(server) as ids:
        assert await ids.tool_choice(TALK) == {}
        assert server.asked_for_ids == []
        for _ in range(2):
            await ids.of(TOOLS)
    assert len(server.asked_for_ids) == 1 + 2


async def test_a_server_that_cannot_be_asked_about_tools_now_is_asked_again(server: FakeVllm) -> None:
    async with asking(server) as ids:
        server.faults.ids_status = 503
        with pytest.raises(EngineBusy):
            await ids.of(TOOLS)
        server.faults.ids_status = None
        assert await ids.of(TOOLS) == ids_of(TOOLS)


async def test_an_old_release_is_not_believed_about_tools_at_tokenize(server: FakeVllm) -> None:
    server.render_status, server.tokenizes_tools = 403, False
    async with asking(server) as ids:
        assert await ids.checked([TALK, TOOLS]) == [ids_of(TALK), ids_of(TOOLS)]
        assert await ids.of(TOOLS) is None
        assert await ids.of(TALK) == ids_of(TALK)


@pytest.mark.parametrize(
    "conversation", [replace(TALK, documents=({"text": "Ward B"},)), replace(TALK, reasoning_effort="low")]
)
async def test_tokenize_is_not_asked_what_it_has_no_field_for(server: FakeVllm, conversation: Conversation) -> None:
    async with asking(server) as ids:
        assert await ids.of(conversation) == ids_of(conversation)
    server.render_status = 403
    async with asking(server) as ids:
        assert await ids.of(conversation) is None
        assert await ids.of(TALK) == ids_of(TALK)
    assert [asked["messages"] for path, asked in server.asked_for_ids if path == TOKENIZE] == [
        server.asked_for_ids[-1][1]["messages"]
    ]


@pytest.mark.parametrize("render_status", [200, 403])
async def test_a_message_to_continue_is_asked_about_as_one(server: FakeVllm, render_status: int) -> None:
    server.render_status = render_status
    talk = Conversation((*TALK.messages, ChatMessage("assistant", "Two, ")), continue_final_message=True)
    async with asking(server) as ids:
        assert await ids.of(talk) == ids_of(talk)
    asked = server.asked_for_ids[-1][1]
    assert (asked["continue_final_message"], asked["add_generation_prompt"]) == (True, False)
