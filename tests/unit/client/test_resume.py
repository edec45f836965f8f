"""Sessions whose stream breaks, against a scripted server on loopback."""

import asyncio

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    CacheScope,
    FlushOutcome,
    ForefillError,
    InternalError,
    MessageLike,
    Resume,
    SessionEnded,
    SessionState,
    Unavailable,
    exchange,
)

from tests.support.broken_streams import RESUME, UNAVAILABLE, breaks_at_once, goes_on, one_after_the_other
from tests.support.scripted_service import OPENED, Wire, connected
from tests.support.session_events import drain


async def test_what_was_typed_before_a_break_and_after_it_is_there() -> None:
    openings: list[pb.Open] = []
    seqs: list[int] = []
    typed, broken, mended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.event()
        await typed.wait()
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await broken.wait()
        await wire.open()
        openings.append(wire.opening)
        seqs.extend([(await wire.event()).seq, (await wire.event()).seq])
        await drain(wire)

    def on_state(state: SessionState, reason: ForefillError | None) -> None:
        if state is SessionState.RECONNECTING:
            broken.set()
        elif broken.is_set():
            mended.set()

    session_options = {"cache_scope": CacheScope.SESSION, "draft": "Sh", "auto_flush": False}
    async with (
        connected(one_after_the_other(first, breaks_at_once, second), RESUME) as client,
        client.session([("system", "SQL")], on_state=on_state, **session_options) as session,  # type: ignore[arg-type]
    ):
        await session.type("o")
        await session.type("w")  # may be lost on its way
        typed.set()
        await broken.wait()
        assert session.state is SessionState.RECONNECTING
        await session.type(" me")
        await mended.wait()
        await session.type(" all")
        await session.flush()
        assert session.draft == "Show me all"
    [opening] = openings
    assert (opening.draft, opening.cache_scope) == ("Show me", pb.CACHE_SCOPE_SESSION)
    assert [(message.role, message.content) for message in opening.messages] == [("system", "SQL")]
    assert (opening.session_key, opening.resume_token) == (OPENED.session_id, OPENED.resume_token)
    assert seqs == [1, 2]


@pytest.mark.parametrize(
    "code", [UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL], ids=lambda code: code.name
)
async def test_a_stream_that_something_on_the_way_ended_is_followed_by_another(code: grpc.StatusCode) -> None:
    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.event()
        await wire.fail(code, "Received RST_STREAM with error code 2")

    async with (
        connected(one_after_the_other(first, goes_on), RESUME) as client,
        client.session(auto_flush=False) as session,
    ):
        await session.type("x")
        assert await (await session.submit()).text() == "x"


async def test_a_flush_on_its_way_is_deferred() -> None:
    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.until("flush")
        await wire.fail(UNAVAILABLE, "gone")

    async with (
        connected(one_after_the_other(first, goes_on), RESUME) as client,
        client.session(auto_flush=False) as session,
    ):
        await session.type("Show ")
        seq = await session.flush()
        assert (await session.flushed(seq)).outcome is FlushOutcome.DEFERRED
        assert session.draft == "Show "


async def test_a_conversation_that_was_rewritten_meanwhile_is_the_new_one() -> None:
    said: list[list[str]] = []
    broken = asyncio.Event()

    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.event()
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await goes_on(wire)
        said.append([message.content for message in wire.opening.messages])

    def on_state(state: SessionState, reason: ForefillError | None) -> None:
        broken.set() if state is SessionState.RECONNECTING else None

    slow = Resume(seconds=20, first_delay_seconds=0.2, longest_delay_seconds=0.2)
    async with (
        connected(one_after_the_other(first, second), slow) as client,
        client.session([("system", "SQL"), ("user", "a")], on_state=on_state, auto_flush=False) as session,
    ):
        await session.type("x")
        await broken.wait()
        await session.rewrite(1, [("user", "b")])
        assert await (await session.submit()).text() == "x"
    assert said == [["SQL", "b"]]


async def test_another_stream_opens_with_all_that_the_template_takes() -> None:
    openings: list[pb.Open] = []

    async def first(wire: Wire) -> None:
        await wire.open()
        openings.append(wire.opening)
        await wire.answer((await wire.until("submit")).seq, "1")
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await goes_on(wire)
        openings.append(wire.opening)

    call = {"id": "1", "type": "function", "function": {"name": "beds", "arguments": "{}"}}
    messages: list[MessageLike] = [
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning": "Hm."},
        {"role": "tool", "content": "3", "name": "beds", "tool_call_id": "1"},
    ]
    async with (
        connected(one_after_the_other(first, second), RESUME) as client,
        client.session(
            messages,
            tools=[{"function": {"name": "beds"}}],
            documents=[{"text": "Ward B"}],
            reasoning_effort="low",
            continue_final_message=True,
        ) as session,
    ):
        await (await session.submit("SELECT ")).text()
        assert await (await session.submit("x")).text() == "x"
    before, after = openings
    assert list(after.messages) == [*before.messages, pb.ChatMessage(role="assistant", content="SELECT 1")]
    for field in ("tools", "documents", "reasoning_effort", "continue_final_message"):
        assert getattr(after, field) == getattr(before, field)


@pytest.mark.parametrize(
    ("code", "metadata", "error"),
    [
        (grpc.StatusCode.INTERNAL, {"error_reason": "INTERNAL", "error_id": "e7"}, InternalError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, {"error_reason": "CLIENT_TOO_SLOW"}, ForefillError),
        (grpc.StatusCode.OK, {}, SessionEnded),
        # It wants more time than there is.
        (UNAVAILABLE, {"error_reason": "SERVER_STOPPING", "retry_after_ms": "60000"}, Unavailable),
    ],
)
async def test_what_no_other_stream_mends_ends_the_session(
    code: grpc.StatusCode, metadata: dict[str, str], error: type[ForefillError]
) -> None:
    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.event()
        if code is not grpc.StatusCode.OK:
            await wire.fail(code, "so it is", **metadata)

    async with connected(one_after_the_other(first), RESUME) as client, client.session(auto_flush=False) as session:
        await session.type("x")
        ended = await session.wait_closed()
        assert isinstance(ended, error)
        with pytest.raises(error):
            await session.type("y")
        assert session.draft == "x"


async def test_who_finds_no_server_in_time_is_told_the_last_reason() -> None:
    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.event()
        await wire.fail(UNAVAILABLE, "gone")

    brief = Resume(seconds=0.1, first_delay_seconds=0.001, longest_delay_seconds=0.01)
    scripts = one_after_the_other(first, *[breaks_at_once] * 10_000)
    async with connected(scripts, brief) as client, client.session(auto_flush=False) as session:
        await session.type("x")
        ended = await session.wait_closed()
        assert isinstance(ended, Unavailable)
        assert "not yet" in str(ended) or "gone" in str(ended)


async def test_a_session_can_be_left_while_it_has_no_stream() -> None:
    broken = asyncio.Event()

    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.event()
        await wire.fail(UNAVAILABLE, "gone")

    def on_state(state: SessionState, reason: ForefillError | None) -> None:
        broken.set() if state is SessionState.RECONNECTING else None

    forever = Resume(seconds=1000, first_delay_seconds=900, longest_delay_seconds=900)
    async with connected(first, forever) as client:
        async with client.session(on_state=on_state, auto_flush=False) as session:
            await session.type("x")
            await broken.wait()
        assert session.state is SessionState.CLOSED


async def test_the_first_stream_is_not_tried_again() -> None:
    async with connected(one_after_the_other(breaks_at_once), RESUME) as client:
        with pytest.raises(Unavailable, match="not yet"):
            async with client.session():
                raise AssertionError("not reached")


async def test_a_stream_that_nobody_answers_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "OPEN_SECONDS", 0.05)

    async def breaks(wire: Wire) -> None:
        await wire.open()
        await wire.fail(UNAVAILABLE, "gone")

    async def is_silent(wire: Wire) -> None:
        await asyncio.sleep(60)

    async with (
        connected(one_after_the_other(breaks, is_silent, is_silent, goes_on), RESUME) as client,
        client.session() as session,
    ):
        assert await (await session.submit("x")).text() == "x"
        await asyncio.sleep(0.5)
        assert session.state is SessionState.OPEN


async def test_a_stream_that_is_reset_on_its_way_is_followed_by_another() -> None:
    async def is_reset(wire: Wire) -> None:
        await wire.fail(grpc.StatusCode.CANCELLED, "CANCELLED")

    async def breaks(wire: Wire) -> None:
        await wire.open()
        await wire.fail(UNAVAILABLE, "gone")

    async with (
        connected(one_after_the_other(breaks, is_reset, goes_on), RESUME) as client,
        client.session() as session,
    ):
        assert await (await session.submit("x")).text() == "x"
