"""How much one caller, and one session, may have."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import AsyncClient, RateLimited
from forefill_service.engine import Priority
from forefill_service.fleet.shares import OPENED_AT_ONCE

from tests.support.callers import KEY, OTHER, refusal, served_to, typing_with, with_key
from tests.support.served import SETTINGS, TEXT, changed, served, until


async def test_one_caller_cannot_take_all_places(tmp_path: Path) -> None:
    entries = with_key("key"), with_key("other", "other")
    async with served_to(tmp_path, *entries, max_sessions=4) as (server, channel):
        for_a_while = AsyncExitStack()
        async with for_a_while:
            for _ in range(2):
                await for_a_while.enter_async_context(typing_with(channel, KEY))
            assert await refusal(channel, KEY, opens=True) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
            async with typing_with(channel, OTHER) as typist:
                await typist.type(TEXT)
            async with AsyncClient.connect(server.address, api_key="key") as client:
                with pytest.raises(RateLimited) as refused:
                    async with client.session():
                        pass
                assert refused.value.retry_after_seconds > 0


async def test_a_caller_that_opens_many_at_once_has_a_few_on_the_way_and_others_open_meanwhile(tmp_path: Path) -> None:
    entries = with_key("key"), with_key("other", "other")
    async with served_to(tmp_path, *entries) as (server, channel):
        asked, going_on = 0, asyncio.Event()

        async def check(*_: object) -> str:
            nonlocal asked
            asked += 1
            await going_on.wait()
            return ""

        async def opens() -> None:
            async with typing_with(channel, KEY):
                pass

        usual, server.engine.check = server.engine.check, check  # type: ignore[method-assign,assignment]
        opened = [asyncio.create_task(opens()) for _ in range(3 * OPENED_AT_ONCE)]
        await until(lambda: asked == OPENED_AT_ONCE)
        await asyncio.sleep(0.05)
        assert asked == OPENED_AT_ONCE
        server.engine.check = usual  # type: ignore[method-assign]
        async with typing_with(channel, OTHER) as typist:
            await typist.type(TEXT)
        going_on.set()
        await asyncio.gather(*opened)


async def test_events_that_come_too_fast_are_all_taken_only_later() -> None:
    settings = changed(SETTINGS, events_per_second=90)
    async with (
        served(settings=settings) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        typing_with(channel) as typist,
    ):
        for _ in range(1000):
            await typist.type("a")
        assert (await typist.submit()).text


async def test_more_answers_of_one_caller_wait_for_their_turn_and_may_be_cancelled(tmp_path: Path) -> None:
    entries = with_key("key"), with_key("other", "other")
    async with (
        served_to(tmp_path, *entries, answers_per_caller=1) as (server, channel),
        typing_with(channel, KEY) as first,
        typing_with(channel, KEY) as second,
        typing_with(channel, KEY) as third,
        typing_with(channel, OTHER) as other,
    ):

        def generations() -> int:
            return sum(request.priority is Priority.GENERATION for request in server.engine.requests)

        before = generations()
        server.gate.held = True
        await first.send_submit(TEXT)
        await until(lambda: generations() == before + 1)
        await second.send_submit(TEXT)
        await third.send_submit(TEXT)
        await asyncio.sleep(0.05)
        assert generations() == before + 1
        await other.send_submit(TEXT)
        await until(lambda: generations() == before + 2)
        await third.event(cancel=pb.Cancel())
        assert (await third.answer()).finished.reason == pb.FINISH_REASON_CANCELLED
        server.gate.open()
        for typist in (first, second, other):
            assert (await typist.answer()).text


async def test_a_caller_without_tokens_is_told_when_to_come_again_and_nothing_is_done_ahead(tmp_path: Path) -> None:
    entries = with_key("key"), with_key("other", "other")
    async with served_to(tmp_path, *entries, tokens_per_minute=20) as (_, channel):
        async with typing_with(channel, KEY) as typist:
            await typist.type(TEXT)
            assert (await typist.submit()).text, "what is used beyond the quota is paid for later"
            await typist.type(TEXT)
            flushed = await typist.flush()
            assert flushed.shed_reason == pb.SHED_REASON_QUOTA
            await typist.send_submit()
            error = (await typist.read()).session_error
            assert error.reason == pb.ERROR_REASON_RATE_LIMITED
            assert error.retry_after_ms > 0
            assert error.draft_code_points == len(TEXT)
        async with typing_with(channel, OTHER) as typist:
            await typist.type(TEXT)
            assert (await typist.submit()).text
