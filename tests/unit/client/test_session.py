"""What a session sends, hears and raises, against a scripted server on loopback."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    AsyncClient,
    CacheScope,
    ChatMessage,
    DraftTooLong,
    EngineUnavailable,
    FlushOutcome,
    ForefillError,
    InternalError,
    InvalidRequest,
    InvalidSampling,
    InvalidText,
    MessageLike,
    NotReachable,
    Sampling,
    Session,
    SessionEnded,
    TooManySessions,
    WarmMode,
)

from tests.support.scripted_service import OPENED, Wire, connected, serving
from tests.support.session_events import drain, drain_opened, said

# Opening


async def test_open_carries_messages_sampling_and_options() -> None:
    seen: list[pb.Open] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.append(wire.opening)
        await drain(wire)

    messages: list[MessageLike] = [("system", "a"), ChatMessage("user", "b"), {"role": "assistant", "content": "c"}]
    async with connected(script) as client:
        session = client.session(
            messages,
            sampling=Sampling(max_tokens=5, temperature=0.0, stop=["\n"]),
            draft="Sh",
            warm_mode=WarmMode.OFF,
            cache_scope=CacheScope.SESSION,
            session_key="k",
            resume_token="1.place",
            chat_template_kwargs={"enable_thinking": False},
        )
        async with session:
            assert session.draft == "Sh"
    (opening,) = seen
    assert [(message.role, message.content) for message in opening.messages] == [
        ("system", "a"),
        ("user", "b"),
        ("assistant", "c"),
    ]
    assert opening.sampling == pb.Sampling(max_tokens=5, temperature=0.0, stop=["\n"])
    assert opening.sampling.HasField("temperature")
    assert not opening.sampling.HasField("top_p")
    assert (opening.draft, opening.session_key, opening.resume_token) == ("Sh", "k", "1.place")
    assert (opening.warm_mode, opening.cache_scope) == (pb.WARM_MODE_OFF, pb.CACHE_SCOPE_SESSION)
    assert not opening.chat_template_kwargs["enable_thinking"]


async def test_opened_is_what_the_server_said() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        assert session.opened.model == "scripted"
        assert session.opened.resume_token == "1.place"
        assert session.opened.block_size == 16
        assert session.opened.base_prompt_tokens == 40
        assert session.opened.limits.max_draft_code_points == 1000


@pytest.mark.parametrize("messages", [["text"], [("system",)], [{"role": "user"}], [("user", 3)], [3]])
async def test_a_message_of_another_shape_is_refused_before_anything_is_sent(messages: list[Any]) -> None:
    async with connected(drain_opened) as client:
        with pytest.raises(InvalidRequest, match="a message is"):
            client.session(messages)


async def test_a_sampling_value_of_the_wrong_type_is_named() -> None:
    async with connected(drain_opened) as client:
        for wrong in ({"stop": [3]}, {"stop_token_ids": ["x"]}, {"logit_bias": [5]}, {"ignore_eos": "no"}):
            with pytest.raises(InvalidRequest, match=rf"Sampling\.{next(iter(wrong))} cannot be"):
                client.session(sampling=Sampling(**wrong))
        with pytest.raises(InvalidRequest, match=r"Sampling\.max_tokens cannot be -1"):
            client.session(sampling=Sampling(max_tokens=-1))


async def test_nobody_at_the_address_is_not_reachable() -> None:
    with pytest.raises(NotReachable, match="start one with forefill-server"):
        await AsyncClient.connect("127.0.0.1:1", connect_timeout_seconds=0.05)


async def test_awaited_connection_is_closed_by_hand() -> None:
    async with serving(drain_opened) as address:
        client = await AsyncClient.connect(address)
        async with client.session() as session:
            assert session.opened.session_id == "s1"
        await client.close()


# Editing


async def test_edits_are_numbered_from_one_and_change_the_draft() -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session(auto_flush=False) as session:
        await session.type("Shwo")
        await session.delete(2)
        await session.type("ow m\u00e9 \U0001f468\u200d\U0001f469\u200d\U0001f467")
        await session.replace(5, 7, "all")
        assert session.draft == "Show all \U0001f468\u200d\U0001f469\u200d\U0001f467"
        await session.delete(5)
        await session.set_draft("Show it all ")
        assert session.draft == "Show it all "
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert [said(event) for event in seen] == [
        "Shwo",
        -2,
        "ow m\u00e9 \U0001f468\u200d\U0001f469\u200d\U0001f467",
        (5, 7, "all"),
        -5,
        (5, 5, "it "),
        "end",
    ]
    assert [event.timestamp_ms for event in seen] == sorted(event.timestamp_ms for event in seen)


async def test_a_hint_goes_to_a_server_that_knows_hints() -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        opened = pb.Opened()
        opened.CopyFrom(OPENED)
        opened.accepts_hints = True
        await wire.open(opened)
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session(draft="Show", auto_flush=False) as session:
        assert session.opened.accepts_hints
        await session.hint()
        await session.hint(likely=False)
        assert session.draft == "Show"
    assert [(event.seq, event.hint.submit_likely) for event in seen if event.HasField("hint")] == [
        (1, True),
        (2, False),
    ]


async def test_a_server_that_does_not_know_hints_is_sent_none() -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session(auto_flush=False) as session:
        assert not session.opened.accepts_hints
        await session.type("Show")
        await session.hint()
        await session.type(" me")
        await session.hint(likely=False)
    assert [(event.seq, said(event)) for event in seen] == [(1, "Show"), (2, " me"), (3, "end")]


async def test_an_edit_that_changes_nothing_sends_nothing() -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session() as session:
        await session.type("")
        await session.delete()
        await session.replace(0, 0, "")
        await session.set_draft("")
    assert [said(event) for event in seen] == ["end"]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda session: session.type("\ud83d"), InvalidText),
        (lambda session: session.replace(0, 0, "\udc00"), InvalidText),
        (lambda session: session.set_draft("\udc00"), InvalidText),
        (lambda session: session.submit("\udc00"), InvalidText),
        (lambda session: session.replace(0, 4, "x"), InvalidRequest),
        (lambda session: session.replace(2, 1, "x"), InvalidRequest),
        (lambda session: session.replace(-1, 1, "x"), InvalidRequest),
        (lambda session: session.delete(-1), InvalidRequest),
        (lambda session: session.type("x" * 998), DraftTooLong),
        (lambda session: session.submit("x" * 1001), DraftTooLong),
        (lambda session: session.flush(4), ValueError),
    ],
)
async def test_what_no_server_can_do_is_refused_locally_and_changes_nothing(
    call: Callable[[Session], Awaitable[object]], error: type[Exception]
) -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session() as session:
        await session.type("abc")
        with pytest.raises(error):
            await call(session)
        assert session.draft == "abc"
    assert [said(event) for event in seen] == ["abc", "end"]


# Ending


async def test_leaving_sends_end_and_waits_for_the_server_to_close() -> None:
    seen: list[object] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(said(event) for event in await drain(wire))
        with pytest.raises(StopAsyncIteration):
            await wire.event()
        seen.append("half-closed")

    async with connected(script) as client:
        async with client.session() as session:
            await session.type("x")
        assert seen == ["x", "end", "half-closed"]
        with pytest.raises(SessionEnded, match="the session has ended"):
            await session.type("y")
        await session.end()


async def test_leaving_with_an_exception_cancels_without_end() -> None:
    seen: list[object] = []
    gone = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.open()
        try:
            seen.extend(said(event) for event in await drain(wire))
        finally:
            gone.set()

    async with connected(script) as client:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with client.session() as session:
                await session.type("x")
                raise ZeroDivisionError
        await gone.wait()
    assert "end" not in seen


async def test_a_server_that_closes_without_being_asked_ends_the_session() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.event()

    async with connected(script) as client, client.session(auto_flush=False) as session:
        await session.type("x")
        with pytest.raises(SessionEnded, match="the server has closed the session"):
            await session.flushed(await session.flush())


async def test_closing_the_client_ends_its_sessions() -> None:
    async with connected(drain_opened) as client, client.session(auto_flush=False) as session:
        seq = await session.flush()
        await client.close()
        with pytest.raises(SessionEnded):
            await session.flushed(seq)


@pytest.mark.parametrize(
    ("code", "metadata", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, {"error_reason": "INVALID_SAMPLING"}, InvalidSampling),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, {"error_reason": "TOO_MANY_SESSIONS"}, TooManySessions),
        (grpc.StatusCode.INTERNAL, {"error_reason": "INTERNAL", "error_id": "e7"}, InternalError),
        (grpc.StatusCode.UNAVAILABLE, {"error_reason": "ENGINE_UNAVAILABLE"}, EngineUnavailable),
        (grpc.StatusCode.UNAVAILABLE, {}, NotReachable),
        (grpc.StatusCode.UNAUTHENTICATED, {}, ForefillError),
        (grpc.StatusCode.UNAVAILABLE, {"error_reason": "FROM_THE_FUTURE"}, ForefillError),
    ],
)
async def test_a_refused_open_raises_its_error_on_entering(
    code: grpc.StatusCode, metadata: dict[str, str], error: type[ForefillError]
) -> None:
    async def script(wire: Wire) -> None:
        await wire.fail(code, "mend it so", **metadata)

    async with connected(script) as client:
        with pytest.raises(error, match="mend it so") as caught:
            async with client.session():
                raise AssertionError("not reached")
        assert caught.value.reason == metadata.get("error_reason", "")
        if isinstance(caught.value, InternalError):
            assert caught.value.error_id == "e7"
            assert "e7" in str(caught.value)


async def test_an_error_that_answers_no_flush_and_no_submit_is_raised_by_the_next_call_once() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.refuse((await wire.event()).seq, pb.ERROR_REASON_EVENT_MISSING)
        await wire.warmed(await wire.until("flush"))
        await drain(wire)

    async with connected(script) as client, client.session(auto_flush=False) as session:
        await session.type("x")
        flushed = await session.flush()
        await session.flushed(flushed)
        with pytest.raises(ForefillError) as caught:
            await session.type("y")
        assert caught.value.seq == 1
        await session.type("y")
        assert session.draft == "xy"


async def test_a_response_of_a_newer_server_is_passed_over() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.send()
        flush = await wire.until("flush")
        await wire.send(flush_result=pb.FlushResult(seq=flush.seq, outcome=77))  # type: ignore[arg-type]
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("Show ")
        assert (await session.flushed(2)).outcome is FlushOutcome.UNKNOWN


async def test_a_session_is_entered_once() -> None:
    async with connected(drain_opened) as client:
        session = client.session()
        with pytest.raises(RuntimeError, match="async with"):
            await session.type("x")
        async with session:
            pass
        with pytest.raises(RuntimeError, match="entered only once"):
            async with session:
                pass


async def test_the_limit_of_a_server_that_names_none_is_not_checked() -> None:
    async def script(wire: Wire) -> None:
        await wire.open(pb.Opened(session_id="s"))
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("x" * 2000)
    assert OPENED.limits.max_draft_code_points == 1000


async def test_a_cancelled_call_leaves_the_session_whole() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        flush = await wire.until("flush")
        await wire.until("char_add")
        await wire.warmed(flush)
        await drain(wire)

    async with connected(script) as client, client.session(auto_flush=False) as session:
        seq = await session.flush()
        waiting = asyncio.create_task(session.flushed(seq))
        while not waiting.done():
            waiting.cancel()
            await asyncio.wait({waiting})
        await session.type("go on")
        assert (await session.flushed(seq)).outcome is FlushOutcome.WARMED
