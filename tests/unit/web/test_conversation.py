"""A browser types, submits, stops and goes on, through the bridge, at a server that a test plays."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import AsyncClient, FinishReason, Sampling
from forefill_client.testing import FakeServer
from forefill_web import SessionOptions

from tests.support.browser import Browser, site
from tests.support.puppet import Puppet, puppet
from tests.support.scripted_service import OPENED

SYSTEM = ("system", "You write SQL.")
HINTED = pb.Opened()
HINTED.CopyFrom(OPENED)
HINTED.accepts_hints = True


@asynccontextmanager
async def talking(options: Any = SessionOptions(before=[SYSTEM])) -> AsyncIterator[tuple[Puppet, Browser]]:  # noqa: B008
    """Open a socket at a puppet."""
    async with puppet(HINTED) as (server, client), site(client, options) as here, here.browser() as browser:
        yield server, browser


async def test_opened_has_what_the_page_needs_and_not_the_system_prompt() -> None:
    async with talking() as (server, browser):
        told = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
        opened = await browser.opens("Show", messages=told)
    token = opened.pop("token")
    assert len(token) >= 43, "32 random bytes"
    assert opened == {
        "type": "opened",
        "resumed": False,
        "model": "scripted",
        "block_size": 16,
        "base_prompt_tokens": 40,
        "max_draft_code_points": 1000,
        "warming_inert_reason": "",
        "accepts_hints": True,
        "offers_twin": True,
        "messages": told,
        "draft": "",
        "turn": 0,
    }
    [opening] = server.openings
    assert [message.role for message in opening.messages] == ["system", "user", "assistant"]


async def test_the_draft_of_open_is_the_servers_and_one_that_is_too_long_does_not_end_the_conversation() -> None:
    async with talking() as (server, browser):
        await browser.opens("Show me")
        await browser.submits(1)
        asked = await server.asked()
        assert asked.draft == asked.text == "Show me"
    async with talking() as (server, browser):
        await browser.opens("x" * 1001)
        error = await browser.hears("error")
        assert (error["reason"], error["continues"]) == ("DRAFT_TOO_LONG", True)
        await browser.says("submit", turn=1, text="Show me")
        assert (await server.asked()).text == "Show me"


async def test_the_servers_draft_is_the_box_at_every_submit() -> None:
    rng = random.Random(7)
    alphabet = "ab c\n é字𝔘👩‍👧"
    async with talking() as (server, browser):
        await browser.opens()
        for turn in range(1, 6):
            for _ in range(40):
                start = rng.randint(0, len(browser.box))
                end = min(len(browser.box), start + rng.choice([0, 0, 0, 1, 5]))
                text = "".join(rng.choices(alphabet, k=rng.choice([0, 1, 1, 1, 12])))
                await browser.edits(start, end, text, composing=rng.random() < 0.2)
            await browser.types("?")
            box = browser.box
            await browser.submits(turn)
            asked = await server.asked()
            assert (asked.draft, asked.text) == (box, box)
            await asked.is_answered("Yes.")
            await browser.hears("finished")


async def test_an_answer_comes_as_started_deltas_and_finished() -> None:
    async with talking() as (server, browser):
        await browser.opens()
        await browser.types("Show me")
        await browser.submits(1)
        asked = await server.asked()
        await asked.begins("It ", "is.", reasoning="Hm. ")
        await asked.ends()
        started, *deltas, finished = await browser.hears_all("finished")
        while started["type"] != "started":
            started, *deltas = deltas
    assert (started["turn"], started["source"], started["prompt_tokens"], started["cached_tokens"]) == (
        1,
        "warm",
        60,
        48,
    )
    assert started["ttft_ms"] > 0
    assert "".join(delta.get("reasoning", "") for delta in deltas) == "Hm. "
    assert "".join(delta.get("text", "") for delta in deltas) == "It is."
    assert (finished["turn"], finished["reason"]) == (1, "stop")
    assert finished["report"]["source"] == "warm"
    assert finished["ledger"]


async def test_a_flush_is_passed_on_with_names_in_lower_case() -> None:
    async with talking() as (server, browser):
        await browser.opens()
        await browser.types("Show me ")
        wire, flush = await server.flushes.get()
        await wire.send(
            flush_result=pb.FlushResult(
                seq=flush.seq,
                confirmed_code_points=8,
                stable_tokens=50,
                cached_tokens=48,
                cached_code_points=7,
                outcome=pb.FLUSH_OUTCOME_SHED,
                shed_reason=pb.SHED_REASON_LOAD,
            )
        )
        assert await browser.hears("flush") == {
            "type": "flush",
            "confirmed_code_points": 8,
            "cached_code_points": 7,
            "stable_tokens": 50,
            "cached_tokens": 48,
            "computed_tokens": 0,
            "outcome": "shed",
            "shed_reason": "load",
        }


async def test_a_begun_answer_and_what_became_of_it_are_passed_on() -> None:
    async with talking() as (server, browser):
        await browser.opens()
        [wire], [opening] = server.wires, server.openings
        assert opening.report_pregenerations
        await wire.send(pregeneration_update=pb.PregenerationUpdate())
        edited = pb.PregenerationUpdate(outcome=pb.PREGENERATION_OUTCOME_EDITED, tokens=2, engine_ms=30)
        await wire.send(pregeneration_update=edited)
        assert await browser.hears("guess") == {"type": "guess", "begun": True, "tokens": 0, "engine_ms": 0}
        assert await browser.hears("guess") == {
            "type": "guess",
            "begun": False,
            "outcome": "edited",
            "tokens": 2,
            "engine_ms": 30.0,
        }


@pytest.mark.parametrize(("composing", "confirmed"), [(True, [None, 11, 12]), (False, [None] * 4)])
async def test_what_is_under_composition_is_not_confirmed(composing: bool, confirmed: list[int | None]) -> None:
    async with talking() as (server, browser):
        await browser.opens()
        await browser.types("Where is ")
        await browser.edits(9, 9, "とうきょう", composing=composing)
        await browser.edits(9, 14, "東京", composing=False)
        await browser.types(" ")
        await browser.submits(1)
        await server.asked()
    lengths: list[int | None] = []
    while not server.flushes.empty():
        _, event = server.flushes.get_nowait()
        lengths.append(event.flush.confirmed_code_points if event.flush.HasField("confirmed_code_points") else None)
    assert lengths == confirmed


async def test_a_hint_reaches_the_server() -> None:
    async with talking() as (server, browser):
        await browser.opens()
        await browser.types("Show me")
        await browser.says("hint", likely=True)
        assert (await server.hears("hint")).hint.submit_likely


async def test_an_edit_that_does_not_fit_is_mended_by_the_whole_draft() -> None:
    async with talking() as (server, browser):
        await browser.opens("Show")
        await browser.says("edit", start=9, end=9, text="x", length=10, composing=False)
        await browser.says("edit", start=0, end=0, text="late", length=8, composing=False)
        await browser.hears("resync")
        browser.box = "Show them"
        await browser.says("draft", text="Show them", composing=False)
        await browser.types(" all")
        await browser.submits(1)
        asked = await server.asked()
        assert asked.draft == asked.text == "Show them all"
        await asked.is_answered("Yes.")
        assert "resync" not in [message["type"] for message in await browser.hears_all("finished")]


async def test_a_draft_beyond_the_servers_limit_is_an_error_and_the_rest_goes_on() -> None:
    async with talking() as (server, browser):
        await browser.opens("Show")
        await browser.says("draft", text="x" * 1001, composing=False)
        error = await browser.hears("error")
        assert (error["reason"], error["continues"]) == ("DRAFT_TOO_LONG", True)
        await browser.says("submit", turn=1, text="x" * 1001)
        error = await browser.hears("error")
        assert (error["reason"], error["turn"], error["continues"]) == ("DRAFT_TOO_LONG", 1, True)
        await browser.says("submit", turn=2, text="Show me")
        assert (await server.asked()).text == "Show me"


async def test_the_servers_refusal_is_passed_on_and_another_turn_may_be_asked() -> None:
    async with talking() as (server, browser):
        await browser.opens()
        await browser.says("submit", turn=1, text="Show me")
        asked = await server.asked()
        await asked.wire.refuse(asked.event.seq, pb.ERROR_REASON_GENERATION_FAILED, retry_after_ms=1500)
        error = await browser.hears("error")
        assert error == {
            "type": "error",
            "reason": "GENERATION_FAILED",
            "message": "what to do next",
            "turn": 1,
            "retry_after_ms": 1500,
            "continues": True,
        }
        await browser.says("submit", turn=2, text="Show me")
        await (await server.asked()).is_answered("Yes.")
        assert (await browser.hears("finished"))["turn"] == 2


async def test_an_answer_is_stopped_and_its_text_stays() -> None:
    async with talking() as (server, browser):
        await browser.opens()
        await browser.says("submit", turn=1, text="Count")
        asked = await server.asked()
        await asked.begins("One")
        await browser.hears("delta")
        await browser.says("cancel", turn=1, keep_text=True)
        assert (await server.hears("cancel")).cancel.keep_text
        await browser.types("And")  # meanwhile the next draft is typed
        await asked.ends(pb.FINISH_REASON_CANCELLED)
        finished = await browser.hears("finished")
        assert finished["reason"] == FinishReason.CANCELLED
        await browser.submits(2)
        assert (await server.asked()).draft == "And"


async def test_the_last_answer_is_given_once_more_and_the_draft_stays() -> None:
    async with talking() as (server, browser):
        await browser.opens()
        await browser.says("submit", turn=1, text="Count")
        await (await server.asked()).is_answered("One")
        await browser.hears("finished")
        await browser.types("And")
        await browser.says("regenerate", turn=2)
        again = await server.asked()
        assert again.text == "Count"
        await again.is_answered("Two")
        assert (await browser.hears("finished"))["turn"] == 2
        await browser.submits(3)
        assert (await server.asked()).draft == "And"


@pytest.mark.parametrize(
    ("before", "told"), [([SYSTEM, ("user", "Hi"), ("assistant", "Hello")], []), ([SYSTEM, ("user", "Hi")], ["Hello"])]
)
async def test_an_answer_that_the_product_has_put_before_the_conversation_is_not_given_once_more(
    before: list[tuple[str, str]], told: list[str]
) -> None:
    async with talking(SessionOptions(before=before)) as (_, browser):
        await browser.opens(messages=[{"role": "assistant", "content": text} for text in told])
        await browser.says("regenerate", turn=1)
        error = await browser.hears("error")
        assert (error["turn"], error["continues"]) == (1, True)


async def test_the_conversation_is_rewritten_after_the_products_own_messages() -> None:
    async with talking() as (server, browser):
        await browser.opens(messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}])
        await browser.says("rewrite", keep=1, messages=[{"role": "assistant", "content": "Good day"}])
        rewrite = (await server.hears("rewrite")).rewrite
        assert (rewrite.keep_messages, [message.content for message in rewrite.messages]) == (2, ["Good day"])
        await browser.says("rewrite", keep=3, messages=[])
        error = await browser.hears("error")
        assert (error["reason"], error["continues"]) == ("INVALID_REWRITE", True)


async def test_end_ends_the_session_in_good_order() -> None:
    async with talking() as (server, browser):
        await browser.opens()
        await browser.says("end")
        await server.hears("end")
        assert await browser.closed() == 1000


async def test_a_server_that_ends_the_session_for_good_closes_the_socket_with_its_reason() -> None:
    async with puppet() as (server, client), site(client) as here, here.browser() as browser:
        await browser.opens()
        with pytest.raises(grpc.aio.BaseError):
            await server.wires[0].fail(
                grpc.StatusCode.PERMISSION_DENIED, "not for you", error_reason="PERMISSION_DENIED"
            )
        error = await browser.hears("error")
        assert (error["reason"], error["continues"]) == ("PERMISSION_DENIED", False)
        assert await browser.closed() == 1008


async def test_a_server_that_is_not_there_is_an_error_after_which_another_try_may_help() -> None:
    async with (
        _unreached() as client,
        site(client) as here,
        here.browser() as browser,
    ):
        await browser.says("open", protocol=1, messages=[], draft="")
        error = await browser.hears("error")
        assert (error["reason"], error["continues"]) == ("NotReachable", False)
        assert await browser.closed() == 1013


@asynccontextmanager
async def _unreached() -> AsyncIterator[AsyncClient]:
    client = AsyncClient.connect("127.0.0.1:9", connect_timeout_seconds=0.1)
    try:
        yield client
    finally:
        await client.close()


async def test_the_options_of_a_session_are_chosen_for_each_socket() -> None:
    async def for_user(socket: Any) -> SessionOptions:
        return SessionOptions(before=[("system", socket.query_params["as"])], sampling=Sampling(max_tokens=7))

    async with puppet() as (server, client), site(client, for_user) as here:
        here.socket_url += "?as=nurse"
        async with here.browser() as browser:
            await browser.opens()
    [opening] = server.openings
    assert (opening.messages[0].content, opening.sampling.max_tokens) == ("nurse", 7)


async def test_what_an_answer_would_have_waited_is_measured_on_the_same_engine() -> None:
    async with (
        FakeServer() as server,
        AsyncClient.connect(server.address) as client,
        site(client, SessionOptions(before=[SYSTEM])) as here,
        here.browser() as browser,
    ):
        await browser.opens()
        await browser.says("submit", turn=1, text="Show me")
        started = await browser.hears("started")
        await browser.hears("finished")
        await browser.says("twin", turn=1)
        twin = await browser.hears("twin")
        assert twin["waited_ms"] == started["ttft_ms"]
        assert twin["cold_ms"] > 0 < twin["static_ms"]
        await browser.says("twin", turn=2)
        assert (await browser.hears("twin"))["error"]
