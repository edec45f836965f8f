"""Hand-offs against a scripted server on loopback: what is sent, and what the application gets."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    ChatMessage,
    FinishReason,
    ForefillError,
    GenerationRunning,
    HandOffNotOffered,
    InvalidRequest,
    ProtocolError,
    SessionEnded,
)

from tests.support.scripted_hand_off import ANSWERED, SYSTEM, settles, tells
from tests.support.scripted_service import LEDGER, Wire, connected
from tests.support.session_events import conversation, drain, said


async def test_an_application_gets_what_its_request_must_carry_and_says_what_came_of_it() -> None:
    heard: list[pb.HandOffFinished] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seq = await tells(wire)
        assert (await wire.until("char_add")).char_add.text == "And "
        heard.append((await wire.until("hand_off_finished")).hand_off_finished)
        await settles(wire, seq)
        await wire.answer((await wire.until("submit")).seq, "ok")
        await drain(wire)

    async with (
        connected(script) as client,
        client.session([SYSTEM], draft="Show me", chat_template_kwargs={"depth": 3}, auto_flush=False) as session,
    ):
        handed = await session.hand_off()
        assert session.draft == ""
        await session.type("And ")
        assert handed.for_openai() == {
            "model": "small",
            "messages": [{"role": role, "content": content} for role, content in ANSWERED[:2]],
            "extra_headers": {"X-Session-ID": "a"},
            "extra_body": {"cache_salt": "secret salt", "chat_template_kwargs": {"depth": 3}},
        }
        assert (handed.base_url, handed.prompt_tokens, handed.cached_tokens) == ("http://vllm/v1", 60, 48)
        details = SimpleNamespace(cached_tokens=48)
        usage = SimpleNamespace(prompt_tokens=60, completion_tokens=7, prompt_tokens_details=details)
        ledger = await handed.finished("SELECT", usage=usage)
        assert ledger is not None
        assert ledger.used_tokens == LEDGER.used_tokens
        assert (conversation(session), session.draft) == (ANSWERED, "And ")
        assert await (await session.submit("now")).text() == "ok"
    [finished] = heard
    assert [(message.role, message.content) for message in finished.messages] == ANSWERED[1:]
    assert (finished.prompt_tokens, finished.cached_tokens, finished.completion_tokens) == (60, 48, 7)


async def test_what_shows_of_it_holds_nothing_typed_and_no_salt() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await tells(wire)
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM]) as session:
        shown = repr(await session.hand_off("Show me"))
        assert "http://vllm/v1" in shown
        assert not any(secret in shown for secret in ("Show me", "secret", SYSTEM.content))


async def test_any_messages_may_come_of_it() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await settles(wire, await tells(wire))
        await drain(wire)

    said_by_tools = [("user", "Show me"), {"role": "tool", "content": "3 rows"}, ChatMessage("assistant", "Three.")]
    async with connected(script) as client, client.session() as session:
        await (await session.hand_off("Show me")).finished(messages=said_by_tools)  # type: ignore[arg-type]
        assert conversation(session) == [("user", "Show me"), ("tool", "3 rows"), ("assistant", "Three.")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"answer": "a", "messages": [("user", "a")]},
        {"answer": 3},
        {"messages": ["a"]},
        {"usage": 3},
        {"usage": {"prompt_tokens": -1}},
        {"usage": {"prompt_tokens": True}},
        {"usage": {"prompt_tokens_details": {"cached_tokens": "8"}}},
    ],
)
async def test_what_cannot_have_come_of_it_is_refused_and_it_is_still_open(wrong: dict[str, Any]) -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        seq = await tells(wire)
        await wire.until("hand_off_finished")
        await settles(wire, seq)
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM]) as session:
        handed = await session.hand_off("Show me")
        with pytest.raises(InvalidRequest):
            await handed.finished(**wrong)
        await handed.finished("SELECT", usage={"prompt_tokens": 60, "prompt_tokens_details": None})
        assert conversation(session) == ANSWERED
        with pytest.raises(InvalidRequest, match="over"):
            await handed.finished("SELECT")
        await handed.cancel()
        assert conversation(session) == ANSWERED


@pytest.mark.parametrize("typed", ["", "And "])
async def test_if_nothing_came_of_it_its_text_is_the_draft_again_unless_another_was_begun(typed: str) -> None:
    seen: list[object] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seq = await tells(wire)
        finished = await wire.until("hand_off_finished")
        assert not finished.hand_off_finished.messages
        await settles(wire, seq)
        seen.extend(said(event) for event in await drain(wire))

    async with connected(script) as client, client.session([SYSTEM], auto_flush=False) as session:
        handed = await session.hand_off("Show me")
        await session.type(typed)
        await handed.finished()
        assert (session.draft, conversation(session)) == (typed or "Show me", ANSWERED[:1])
    assert seen == ["end"], "the server does the same"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (pb.ERROR_REASON_HAND_OFF_NOT_OFFERED, HandOffNotOffered),
        (pb.ERROR_REASON_EVENT_MISSING, ProtocolError),  # a server that is older than hand-offs
    ],
)
async def test_a_server_that_refuses_it_gives_the_text_back(
    reason: "pb.ErrorReason.ValueType", error: type[ForefillError]
) -> None:
    seen: list[object] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.refuse((await wire.until("hand_off")).seq, reason)
        seen.extend([said(await wire.event()), said(await wire.event())])
        await wire.answer((await wire.until("submit")).seq, "ok")
        await drain(wire)

    async with connected(script) as client, client.session(draft="Show me", auto_flush=False) as session:
        with pytest.raises(error, match="what to do next"):
            await session.hand_off()
        assert session.draft == "Show me"
        assert await (await session.submit()).text() == "ok"
    assert seen == [-(2**32 - 1), "Show me"]


async def test_nothing_else_is_asked_for_while_it_is_open() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        seq = await tells(wire)
        assert (await wire.until("cancel")).cancel == pb.Cancel()
        await settles(wire, seq, pb.FINISH_REASON_CANCELLED)
        await wire.answer((await wire.until("submit")).seq, "ok")
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM]) as session:
        handed = await session.hand_off("Show me")
        for call in (session.submit("x"), session.hand_off("x"), session.rewrite(0), session.regenerate()):
            with pytest.raises(GenerationRunning, match="finished"):
                await call
        cancelling = asyncio.create_task(handed.cancel())
        await asyncio.sleep(0)
        assert await (await session.submit("x")).text() == "ok", "what is ended is waited for"
        await cancelling
        assert conversation(session) == [*ANSWERED[:1], ("user", "x"), ("assistant", "ok")]


async def test_messages_that_the_server_refuses_leave_it_open() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        seq = await tells(wire)
        await wire.refuse((await wire.until("hand_off_finished")).seq, pb.ERROR_REASON_INVALID_HAND_OFF)
        await wire.until("hand_off_finished")
        await settles(wire, seq)
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM]) as session:
        handed = await session.hand_off("Show me")
        with pytest.raises(InvalidRequest, match="what to do next"):
            await handed.finished("too long")
        assert conversation(session) == ANSWERED[:1]
        await handed.finished("SELECT")
        assert conversation(session) == ANSWERED


async def test_a_caller_that_does_not_wait_for_it_has_its_text_back() -> None:
    seen: list[object] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seq = (await wire.until("hand_off")).seq
        seen.extend([said(await wire.event()) for _ in range(3)])
        await settles(wire, seq, pb.FINISH_REASON_CANCELLED)
        await wire.answer((await wire.until("submit")).seq, "ok")
        await drain(wire)

    async with connected(script) as client, client.session(draft="Show me", auto_flush=False) as session:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.hand_off(), 0.05)
        assert session.draft == "Show me"
        assert await (await session.submit()).text() == "ok"
        assert conversation(session) == [("user", "Show me"), ("assistant", "ok")]
    assert seen == ["cancel", -(2**32 - 1), "Show me"]


async def test_a_session_may_be_left_with_one_open() -> None:
    ended = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.open()
        seq = await tells(wire)
        await wire.until("end")
        await settles(wire, seq, pb.FINISH_REASON_CANCELLED)
        ended.set()

    async with connected(script) as client:
        async with client.session() as session:
            handed = await session.hand_off("Show me")
        await asyncio.wait_for(ended.wait(), 5)
        with pytest.raises(InvalidRequest):
            await handed.finished("SELECT")
        await handed.cancel()
        assert isinstance(await session.wait_closed(), SessionEnded)


async def test_a_draft_that_the_answer_continues_is_one_message_with_it() -> None:
    heard: list[pb.HandOffFinished] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seq = await tells(wire)
        heard.append((await wire.until("hand_off_finished")).hand_off_finished)
        await settles(wire, seq)
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM], continue_final_message=True) as session:
        handed = await session.hand_off("The capital is")
        assert handed.messages[-1] == ChatMessage("assistant", "The capital is")
        await handed.finished(" Paris")
        assert conversation(session)[1:] == [("assistant", "The capital is Paris")]
    assert [(message.role, message.content) for message in heard[0].messages] == [("assistant", "The capital is Paris")]


async def test_an_answer_that_has_ended_hears_nothing_of_a_hand_off_that_is_over() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.answer((await wire.until("submit")).seq, "ok")
        await settles(wire, 99)
        await wire.answer((await wire.until("submit")).seq, "ok")
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        first = await session.submit("x")
        await first.text()
        await (await session.submit("y")).text()
        assert conversation(session) == [("user", "x"), ("assistant", "ok"), ("user", "y"), ("assistant", "ok")]
        assert first.report.finish_reason is FinishReason.STOP
