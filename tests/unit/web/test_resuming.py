"""A conversation outlives its socket: answers go on, nothing comes twice, and one socket has it at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_web import BridgeLimits, SessionOptions
from forefill_web import messages as said
from forefill_web.conversation import Conversation
from forefill_web.line import Line

from tests.support.browser import Site, site
from tests.support.puppet import Puppet, puppet


@asynccontextmanager
async def somewhere(options: Any = SessionOptions(), **limits: Any) -> AsyncIterator[tuple[Puppet, Site]]:  # noqa: B008
    async with puppet() as (server, client), site(client, options, limits=BridgeLimits(**limits)) as here:
        yield server, here


async def test_an_answer_goes_on_without_a_socket_and_the_next_one_has_all_of_it() -> None:
    async with somewhere() as (server, here):
        async with here.browser() as browser:
            token = (await browser.opens())["token"]
            await browser.says("submit", turn=1, text="Count")
            asked = await server.asked()
            await asked.begins("One ", reasoning="Hm")
            started = await browser.hears("started")
            while "text" not in await browser.hears("delta"):
                pass
        await asked.says("two ")
        async with here.browser() as browser:
            opened = await browser.opens("And", token)
            assert (opened["resumed"], opened["turn"], opened["token"]) == (True, 1, token)
            answer = opened["answer"]
            assert (answer["turn"], answer["submitted_text"], answer["reasoning"]) == (1, "Count", "Hm")
            assert answer["started"] == started
            assert answer["text"] in ("One ", "One two "), "what comes next has the rest"
            await asked.says("three")
            await asked.ends()
            deltas = [told["text"] for told in await browser.hears_all("finished") if told["type"] == "delta"]
            assert answer["text"] + "".join(deltas) == "One two three"
            browser.box = "And"
            await browser.submits(2)
            assert (await server.asked()).draft == "And", "the box of the new socket wins"
    assert len(server.openings) == 1, "the session was one"


async def test_an_answer_that_ended_meanwhile_is_in_the_messages_and_how_it_ended_is_told() -> None:
    async with somewhere() as (server, here):
        async with here.browser() as browser:
            token = (await browser.opens())["token"]
            await browser.says("submit", turn=1, text="Count")
            asked = await server.asked()
        await asked.is_answered("One")
        async with here.browser() as browser:
            opened = await browser.opens("", token)
            if "answer" not in opened:
                assert [said["content"] for said in opened["messages"]] == ["Count", "One"]
            assert (await browser.hears("finished"))["turn"] == 1
            await browser.says("submit", turn=1, text="Count")
            assert (await browser.hears("finished"))["turn"] == 1
            await browser.says("submit", turn=2, text="On")
            assert (await server.asked()).text == "On", "turn 1 was asked once"


async def test_an_answer_that_failed_meanwhile_is_told_as_failed() -> None:
    async with somewhere() as (server, here):
        async with here.browser() as browser:
            token = (await browser.opens())["token"]
            await browser.says("submit", turn=1, text="Count")
            asked = await server.asked()
        await asked.wire.refuse(asked.event.seq, pb.ERROR_REASON_GENERATION_FAILED)
        async with here.browser() as browser:
            await browser.opens("", token)
            error = await browser.hears("error")
            assert (error["turn"], error["reason"], error["continues"]) == (1, "GENERATION_FAILED", True)


async def test_what_was_said_just_before_the_socket_broke_counts() -> None:
    async with somewhere() as (server, here):
        async with here.browser() as browser:
            token = (await browser.opens())["token"]
            await browser.types("Show me")
            await browser.submits(1)
            browser.socket.transport.abort()
        asked = await server.asked()
        assert asked.draft == asked.text == "Show me"
        async with here.browser() as browser:
            assert (await browser.opens("", token))["turn"] == 1
            await asked.is_answered("Yes.")
            assert (await browser.hears("finished"))["turn"] == 1


async def test_a_second_socket_takes_the_conversation_over_and_the_first_is_closed() -> None:
    async with somewhere() as (server, here), here.browser() as first, here.browser() as second:
        token = (await first.opens("Show"))["token"]
        opened = await second.opens("Show me", token)
        assert (opened["resumed"], opened["draft"]) == (True, "Show")
        assert await first.closed() == 4001
        await second.types(" all")
        await second.submits(1)
        asked = await server.asked()
        assert asked.draft == asked.text == "Show me all"
    assert len(server.openings) == 1


async def test_what_a_socket_says_after_it_was_taken_over_does_not_count() -> None:
    opening, limits = said.Open(1, "", (), ""), BridgeLimits()
    async with puppet() as (server, client):
        conversation = Conversation(
            client, SessionOptions(), opening, token="t", address="", limits=limits, twins=asyncio.Semaphore()
        )
        living = asyncio.create_task(conversation.run())
        unread: Any = None
        first, second = Line(unread, "", limits), Line(unread, "", limits)
        for line in (first, second):
            conversation.lines.expect(line)
            await conversation.hear(line, opening)
        await conversation.hear(first, said.Submit(1, "late"))
        await conversation.hear(second, said.Submit(1, "Count"))
        assert (await server.asked()).text == "Count"
        conversation.drop()
        await living


@pytest.mark.parametrize("token", ["", "x" * 43, "-"])
async def test_an_unknown_token_begins_a_new_conversation_with_the_browsers_messages(token: str) -> None:
    async with somewhere() as (_, here), here.browser() as browser:
        told = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
        opened = await browser.opens("", token, told)
        assert (opened["resumed"], opened["messages"]) == (False, told)
        assert opened["token"] != token


async def test_a_conversation_is_not_kept_for_longer_than_it_may_be() -> None:
    async with somewhere(keep_seconds=0.05) as (server, here):
        async with here.browser() as browser:
            token = (await browser.opens("Show"))["token"]
        await server.hears("end")
        async with here.browser() as browser:
            assert (await browser.opens("", token))["resumed"] is False


async def test_a_conversation_that_has_a_socket_again_is_kept() -> None:
    async with somewhere(keep_seconds=0.2) as (server, here):
        async with here.browser() as browser:
            token = (await browser.opens("Show"))["token"]
        async with here.browser() as browser:
            assert (await browser.opens("Show", token))["resumed"]
            await browser.says("submit", turn=1, text="Count")
            asked = await server.asked()
            async with here.browser() as other:  # its own conversation lives as long as the first could
                await other.opens()
            await server.hears("end")
            await asked.is_answered("One")
            assert (await browser.hears("finished"))["turn"] == 1


async def test_an_ended_conversation_cannot_be_gone_on_with() -> None:
    async with somewhere() as (_, here):
        async with here.browser() as browser:
            token = (await browser.opens())["token"]
            await browser.says("end")
            assert await browser.closed() == 1000
        async with here.browser() as browser:
            assert (await browser.opens("", token))["resumed"] is False


async def test_a_token_is_of_no_use_to_another_user() -> None:
    async def by_user(socket: Any) -> SessionOptions:
        return SessionOptions(owner=socket.query_params["user"])

    async with somewhere(by_user) as (_, here):
        url = here.socket_url
        here.socket_url = f"{url}?user=ann"
        async with here.browser() as browser:
            token = (await browser.opens())["token"]
        here.socket_url = f"{url}?user=bob"
        async with here.browser() as browser:
            assert (await browser.opens("", token))["resumed"] is False
        here.socket_url = f"{url}?user=ann"
        async with here.browser() as browser:
            assert (await browser.opens("", token))["resumed"] is True


async def test_the_bridges_own_stream_breaks_and_is_resumed_with_the_draft() -> None:
    async with somewhere() as (server, here), here.browser() as browser:
        token = (await browser.opens())["token"]
        await browser.types("Count")
        await browser.submits(1)
        await (await server.asked()).is_answered("One")
        await browser.hears("finished")
        await browser.types("And")
        with pytest.raises(grpc.aio.BaseError):
            await server.wires[0].fail(grpc.StatusCode.UNAVAILABLE, "gone")
        assert (await browser.hears("state"))["state"] == "reconnecting"
        assert await browser.hears("state") == {"type": "state", "state": "open"}
        await browser.types(" then?")
        await browser.submits(2)
        asked = await server.asked()
        assert asked.draft == asked.text == "And then?"
        assert [message.content for message in server.openings[-1].messages] == ["Count", "One"]
        await asked.is_answered("Two")
        await browser.hears("finished")
        async with here.browser() as second:
            assert [said["content"] for said in (await second.opens("", token))["messages"]][-1] == "Two"


async def test_when_the_bridge_is_stopped_sockets_are_closed_so_that_browsers_come_again() -> None:
    async with puppet() as (server, client), AsyncExitStack() as browsers:
        async with site(client) as here:
            browser = await browsers.enter_async_context(here.browser())
            silent = await browsers.enter_async_context(here.browser())
            await browser.opens()
        assert await browser.closed() == 1012
        assert await silent.closed() == 1012
        await server.hears("end")
