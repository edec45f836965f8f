"""Hand-offs of sessions whose stream breaks, against a scripted server on loopback."""

import asyncio

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    ForefillError,
    SessionState,
)

from tests.support.broken_streams import RESUME, UNAVAILABLE, breaks_after_an_event, one_after_the_other
from tests.support.scripted_hand_off import ANSWERED, SYSTEM, settles, tells
from tests.support.scripted_service import Wire, connected
from tests.support.session_events import conversation, drain, said


async def tells_and_breaks(wire: Wire) -> None:
    await wire.open()
    await tells(wire)
    await wire.fail(UNAVAILABLE, "gone")


async def breaks_before_it_tells(wire: Wire) -> None:
    await wire.open()
    await wire.until("hand_off")
    await wire.fail(UNAVAILABLE, "gone")


async def test_one_that_was_not_told_is_asked_for_again_beside_the_draft() -> None:
    seen: list[object] = []

    async def second(wire: Wire) -> None:
        await wire.open()
        seen.append(wire.opening.draft)
        seq = await tells(wire, "http://other/v1")
        seen.extend([seq, said(await wire.event()), said(await wire.event())])
        await wire.until("hand_off_finished")
        await settles(wire, seq)
        await drain(wire)

    async with (
        connected(one_after_the_other(breaks_before_it_tells, second), RESUME) as client,
        client.session([SYSTEM], auto_flush=False) as session,
    ):
        asking = asyncio.create_task(session.hand_off("Show me"))
        await asyncio.sleep(0)
        await session.type("And ")
        handed = await asking
        assert handed.base_url == "http://other/v1"
        await handed.finished("SELECT")
        assert (conversation(session), session.draft) == (ANSWERED, "And ")
    assert seen == ["And ", 1, -(2**32 - 1), "And "]


async def test_one_that_is_open_is_told_to_the_next_server_and_what_was_told_stays() -> None:
    broken, mended = asyncio.Event(), asyncio.Event()

    async def second(wire: Wire) -> None:
        await wire.open()
        assert [message.content for message in wire.opening.messages] == [SYSTEM.content]
        seq = await tells(wire, "http://other/v1")
        mended.set()
        await wire.until("hand_off_finished")
        await settles(wire, seq)
        await drain(wire)

    def on_state(state: SessionState, _: ForefillError | None) -> None:
        if state is SessionState.RECONNECTING:
            broken.set()

    async with (
        connected(one_after_the_other(tells_and_breaks, second), RESUME) as client,
        client.session([SYSTEM], on_state=on_state) as session,
    ):
        handed = await session.hand_off("Show me")
        await mended.wait()
        assert broken.is_set()
        assert handed.base_url == "http://vllm/v1"
        ledger = await handed.finished("SELECT")
        assert ledger is not None
        assert conversation(session) == ANSWERED


@pytest.mark.parametrize("late", [False, True], ids=["refused before it is finished", "refused after"])
async def test_if_the_next_server_refuses_it_the_answer_comes_by_a_rewrite(late: bool) -> None:
    seen: list[pb.Rewrite] = []
    asked = asyncio.Event()

    async def second(wire: Wire) -> None:
        await wire.open()
        seq = (await wire.until("hand_off")).seq
        asked.set()
        next_event = await wire.until("hand_off_finished" if late else "flush")
        await wire.refuse(seq, pb.ERROR_REASON_HAND_OFF_NOT_OFFERED)
        if late:
            await wire.refuse(next_event.seq, pb.ERROR_REASON_NOTHING_HANDED_OFF)
        else:
            await wire.warmed(next_event)
        seen.append((await wire.until("rewrite")).rewrite)
        await drain(wire)

    async with (
        connected(one_after_the_other(tells_and_breaks, second), RESUME) as client,
        client.session([SYSTEM]) as session,
    ):
        handed = await session.hand_off("Show me")
        await asked.wait()
        if not late:
            await session.flushed(await session.flush())
        assert await handed.finished("SELECT") is None
        assert conversation(session) == ANSWERED
        await session.type("x")
    [rewrite] = seen
    assert rewrite.keep_messages == 1
    assert [message.content for message in rewrite.messages] == ["Show me", "SELECT"]


@pytest.mark.parametrize("came", [True, False])
async def test_one_that_ends_between_two_streams_is_over_when_the_next_opens(came: bool) -> None:
    broken, ended, reopened = asyncio.Event(), asyncio.Event(), asyncio.Event()
    openings: list[pb.Open] = []
    seen: list[object] = []

    async def second(wire: Wire) -> None:
        await ended.wait()
        await wire.fail(UNAVAILABLE, "not yet")

    async def third(wire: Wire) -> None:
        await wire.open()
        openings.append(wire.opening)
        seen.extend(said(event) for event in await drain(wire))

    def on_state(state: SessionState, _: ForefillError | None) -> None:
        if state is SessionState.RECONNECTING:
            broken.set()
        elif broken.is_set():
            reopened.set()

    async with (
        connected(one_after_the_other(tells_and_breaks, second, third), RESUME) as client,
        client.session([SYSTEM], on_state=on_state, auto_flush=False) as session,
    ):
        handed = await session.hand_off("Show me")
        await broken.wait()
        ending = asyncio.create_task(handed.finished("SELECT") if came else handed.finished())
        await asyncio.sleep(0)
        ended.set()
        assert await ending is None
        assert conversation(session) == (ANSWERED if came else ANSWERED[:1])
        assert session.draft == ("" if came else "Show me")
        await reopened.wait()
    [opening] = openings
    assert [message.content for message in opening.messages] == [content for _, content in conversation(session)]
    assert opening.draft == ("" if came else "Show me")
    assert seen == ["end"]


async def test_what_was_on_its_way_when_the_stream_broke_is_in_the_conversation() -> None:
    openings: list[pb.Open] = []

    async def first(wire: Wire) -> None:
        await wire.open()
        await tells(wire)
        await wire.until("hand_off_finished")
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await wire.open()
        openings.append(wire.opening)
        await drain(wire)

    async with connected(one_after_the_other(first, second), RESUME) as client, client.session([SYSTEM]) as session:
        assert await (await session.hand_off("Show me")).finished("SELECT") is None
        assert conversation(session) == ANSWERED
    [opening] = openings
    assert [message.content for message in opening.messages] == [content for _, content in ANSWERED]


async def test_one_that_is_begun_between_two_streams_is_told_once() -> None:
    reached, asked = asyncio.Event(), asyncio.Event()
    seen: list[object] = []

    async def second(wire: Wire) -> None:
        reached.set()  # the stream is there, but is not opened yet
        await asked.wait()
        await wire.open()
        seq = await tells(wire)
        await wire.until("hand_off_finished")
        await settles(wire, seq)
        await wire.answer((await wire.until("submit")).seq, "ok")
        seen.extend(event.WhichOneof("kind") for event in await drain(wire))

    async with (
        connected(one_after_the_other(breaks_after_an_event, second), RESUME) as client,
        client.session([SYSTEM], auto_flush=False) as session,
    ):
        await session.type("x")
        await reached.wait()
        asking = asyncio.create_task(session.hand_off("Show me"))
        await asyncio.sleep(0)
        asked.set()
        await (await asking).finished("SELECT")
        assert conversation(session) == ANSWERED
        assert await (await session.submit("next")).text() == "ok"
    assert seen == ["end"]
