"""forefill in front of two real vLLM servers: each session finds its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.engine import FakeChat
from forefill_service.engine.http.chat_ids import ChatIds
from forefill_service.engine.http.discovery import difference

from tests.support.replicas import Front, computed, computed_at_rest, forefill_in_front_of, new_context, touched, worked
from tests.support.templates import TEMPLATES
from tests.support.texts import AWKWARD_TEXTS
from tests.support.vllm_server import HttpProcess, running, vllm_server
from tests.support.wire import Answer, Messages, typing_at

pytestmark = [pytest.mark.vllm, pytest.mark.replicas, pytest.mark.asyncio(loop_scope="session")]

Servers = tuple[HttpProcess, HttpProcess]

QUESTION = "Show the names of all makers that sold more than three models "
SESSIONS = 40
TALK = [
    ("system", "You translate questions into SQL.\n\nCREATE TABLE cars (id INT, make TEXT);\n"),
    ("user", "How many cars are there? "),
    ("assistant", " SELECT COUNT(*) FROM cars;\n"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def front(started_servers: Servers) -> AsyncIterator[Front]:
    async with forefill_in_front_of(*started_servers) as front:
        yield front


async def typed_and_submitted(front: Front, **opening: Any) -> tuple[pb.FlushResult, Answer]:
    """Type a question into a session of its own; return what its FLUSH and its SUBMIT said."""
    async with typing_at(front.address, new_context(), **opening) as typist:
        await typist.type(QUESTION)
        flushed = await typist.flush()
        answer = await typist.submit()
        await typist.end()
    return flushed, answer


async def their_ids(server: HttpProcess, talk: list[tuple[str, str]]) -> list[int]:
    """Return the ids that the server's `/tokenize` makes of messages."""
    body = {"messages": [{"role": role, "content": content} for role, content in talk]}
    async with aiohttp.ClientSession() as http, http.post(f"{server.url}/tokenize", json=body) as response:
        ids: list[int] = (await response.json())["tokens"]
        return ids


async def completed_by(server: HttpProcess, talk: Messages, max_tokens: int) -> dict[str, Any]:
    """Return the body of a greedy chat completion by the server itself."""
    messages = [{"role": role, "content": content} for role, content in talk]
    body = {"messages": messages, "temperature": 0, "max_tokens": max_tokens, "return_token_ids": True}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server.url}/v1/chat/completions", json=body) as response,
    ):
        completion: dict[str, Any] = await response.json()
        return completion


async def test_what_a_server_does_not_need_to_be_told_is_asked_of_it(front: Front) -> None:
    info = front.running.backend.info
    assert (info.block_size, info.context_tokens) == (32, 8192)
    assert info.model == "SmolLM2-135M-Instruct"
    assert info.cache_blocks is not None
    assert [replica.inert_reason for replica in front.running.backend.replicas.all] == ["", ""]


@pytest.mark.parametrize("name", AWKWARD_TEXTS)
async def test_the_ids_sent_are_those_of_that_very_server(front: Front, two_servers: Servers, name: str) -> None:
    text = AWKWARD_TEXTS[name]
    chat = front.running.backend.replicas.chat
    prompt = TurnPrompt(chat, Conversation(tuple(ChatMessage(role, content) for role, content in TALK)), 8192)
    assert prompt.final(text).to_list() == await their_ids(two_servers[0], [*TALK, ("user", text)])


async def test_a_server_that_cannot_stand_in_for_the_others_is_told_apart(front: Front, two_servers: Servers) -> None:
    engine = front.engines[two_servers[0].url]
    endpoint, served, settings = engine.client.endpoint, engine.client.served, front.running.backend.settings
    ids = engine.client.chat_ids

    async def odd(**info: Any) -> str:
        return await difference(endpoint, replace(served, info=replace(served.info, **info)), settings, ids)

    assert not await odd()
    assert "does not serve other" in await odd(model="other")
    assert "context is 8192 tokens, not 16384" in await odd(context_tokens=16384)
    assert "blocks have 32 tokens, not 16" in await odd(block_size=16)
    assert "other token ids" in await difference(endpoint, replace(served, chat=FakeChat()), settings, ids)


async def test_session_after_session_hits_its_own_server_and_both_have_some(front: Front, two_servers: Servers) -> None:
    seen = set()
    for _ in range(8):
        before = await worked(two_servers)
        flushed, answer = await typed_and_submitted(front)
        [server] = await touched(two_servers, before)
        seen.add(server)
        assert answer.cached_tokens >= flushed.cached_tokens > 200
        assert answer.started.source == pb.GENERATION_SOURCE_WARM
    assert seen == {0, 1}


async def test_many_sessions_at_once_find_what_they_have_warmed(front: Front) -> None:
    results = await asyncio.gather(*(typed_and_submitted(front) for _ in range(6)))
    for flushed, answer in results:
        assert answer.cached_tokens >= flushed.cached_tokens


async def test_the_next_turn_goes_there_too(front: Front, two_servers: Servers) -> None:
    async with typing_at(front.address, new_context()) as typist:
        before = await worked(two_servers)
        for _ in range(3):
            await typist.type(QUESTION)
            flushed = await typist.flush()
            answer = await typist.submit()
            assert answer.cached_tokens >= flushed.cached_tokens > 0
        assert len(await touched(two_servers, before)) == 1


async def test_two_copies_of_forefill_give_the_same_hits(front: Front, two_servers: Servers) -> None:
    async with forefill_in_front_of(*two_servers[::-1]) as copy:
        for number in range(4):
            context, key = new_context(), f"moved-{number}"
            async with typing_at(front.address, context, session_key=key) as typist:
                await typist.type(QUESTION)
                flushed = await typist.flush()
            async with typing_at(copy.address, context, session_key=key, draft=QUESTION) as typist:
                answer = await typist.submit()
            assert answer.cached_tokens >= flushed.cached_tokens > 200


async def test_another_copy_finds_a_session_that_names_its_place(front: Front, two_servers: Servers) -> None:
    async with forefill_in_front_of(*two_servers[::-1]) as copy:
        for number in range(4):
            context, key = new_context(), f"resumed-{number}"
            async with AsyncExitStack() as stack:
                for _ in range(number):  # so that load, not the key, decides
                    await stack.enter_async_context(typing_at(front.address))
                typist = await stack.enter_async_context(typing_at(front.address, context, session_key=key))
                await typist.type(QUESTION)
                flushed = await typist.flush()
            token = typist.opened.resume_token
            async with typing_at(
                copy.address, context, session_key=key, resume_token=token, draft=QUESTION, warm_mode=pb.WARM_MODE_OFF
            ) as typist:
                assert typist.opened.resume_token == token
                assert (await typist.submit()).cached_tokens >= flushed.cached_tokens > 200


async def test_forty_sessions_at_random_are_spread_evenly(front: Front, two_servers: Servers) -> None:
    before = await computed_at_rest(two_servers)
    async with AsyncExitStack() as stack:
        for _ in range(SESSIONS):
            typist = await stack.enter_async_context(typing_at(front.address, new_context(words=60)))
            await typist.type(QUESTION)
            await typist.flush()
        open_there = [replica.sessions for replica in front.running.backend.replicas.all]
        tokens = [now - then for now, then in zip(await computed(two_servers), before, strict=True)]
    assert sum(open_there) == SESSIONS
    assert max(open_there) <= 1.3 * min(open_there)
    assert max(tokens) <= 1.3 * min(tokens), "each session has a context of its own, and all are about as long"


async def test_sessions_that_share_a_prompt_can_be_kept_on_one_server(two_servers: Servers) -> None:
    async with forefill_in_front_of(*two_servers, affinity="prompt") as front:
        context, before = new_context(), await worked(two_servers)
        for _ in range(4):
            async with typing_at(front.address, context) as typist:
                await typist.type(QUESTION)
                await typist.flush()
                assert (await typist.submit()).cached_tokens > 200
        assert len(await touched(two_servers, before)) == 1


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plain_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[HttpProcess, Path]]:
    """Run one without the flags that forefill recommends, but with a template and defaults for it; yield both."""
    template = tmp_path_factory.mktemp("template") / "template.jinja"
    template.write_text(TEMPLATES["drops_reasoning"])
    defaults = '--default-chat-template-kwargs={"clear_thinking": false}'
    server = vllm_server(f"--chat-template={template}", defaults, plain=True)
    async with running(server):
        yield server, template


async def test_a_server_without_the_flags_that_we_wish_for_is_served_all_the_same(
    plain_server: tuple[HttpProcess, Path],
) -> None:
    plain, template = plain_server
    async with forefill_in_front_of(plain, chat_template=template) as front:
        [engine] = front.engines.values()
        assert not engine.client.served.reports_cached_tokens
        flushed, answer = await typed_and_submitted(front)
        assert answer.started.cached_tokens == flushed.cached_tokens > 200, "as it is believed"
        hits = (await plain.metrics()).hits
        assert hits >= flushed.cached_tokens, "and as it is"


REASONED = [*TALK[:2], ("assistant", "<think>\nThere is one table.\n</think>\n\n" + TALK[2][1])]


@pytest.mark.parametrize(("talk", "alike"), [(TALK, True), (REASONED, False)], ids=["alike", "defaults show"])
async def test_submit_is_the_chat_endpoints_whatever_the_defaults_of_the_server(
    plain_server: tuple[HttpProcess, Path], talk: Messages, *, alike: bool
) -> None:
    server, template = plain_server
    said = [*talk, ("user", QUESTION)]
    theirs = await completed_by(server, said, max_tokens=12)
    async with forefill_in_front_of(server, chat_template=template) as front:
        [engine] = front.engines.values()
        conversation = Conversation(tuple(ChatMessage(*message) for message in said))
        assert await engine.chat_endpoint.ids(conversation) == theirs["prompt_token_ids"]
        fast = engine.chat.encode(engine.chat.render(conversation))
        assert (fast == theirs["prompt_token_ids"]) is alike
        async with typing_at(front.address, talk, sampling=pb.Sampling(temperature=0, max_tokens=12)) as typist:
            await typist.type(QUESTION)
            await typist.flush()
            answer = await typist.submit()
    assert answer.text == theirs["choices"][0]["message"]["content"]
    assert answer.finished.usage.prompt_tokens == len(theirs["prompt_token_ids"])
    assert answer.finished.usage.completion_tokens == theirs["usage"]["completion_tokens"]


async def test_the_servers_own_renderer_is_asked_where_it_is_offered(front: Front, two_servers: Servers) -> None:
    engine = front.engines[two_servers[0].url]
    said = [*REASONED, ("user", QUESTION)]
    theirs = await completed_by(two_servers[0], said, max_tokens=1)
    conversation = Conversation(tuple(ChatMessage(*message) for message in said))
    asked = ChatIds(engine.client.endpoint, engine.info.model, harmony=True)  # so that /tokenize is not asked
    assert await asked.of(conversation) == theirs["prompt_token_ids"]
