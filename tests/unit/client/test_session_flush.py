"""What a session flushes, and what it hears of it."""

import asyncio
import zlib
from typing import TYPE_CHECKING

import grpc
import pytest
from forefill_client import EngineUnavailable, FlushOutcome, FlushResult, ForefillError

from tests.support.scripted_service import Wire, connected
from tests.support.session_events import drain, said

if TYPE_CHECKING:
    from forefill.v1 import keystroke_pb2 as pb

# Flushing


async def test_a_flush_goes_out_at_every_word_boundary_and_nowhere_else() -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session() as session:
        for char in "Show me":
            await session.type(char)
        await session.type(" every last pat")  # a paste
        await session.delete(3)
    flushes = [event.flush for event in seen if event.WhichOneof("kind") == "flush"]
    assert [flush.draft_code_points for flush in flushes] == [len("Show "), len("Show me every last pat")]


async def typed_key_by_key(text: str) -> list[str]:
    """Return the draft as it was at each flush that the session sent by itself."""
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session() as session:
        for char in text:
            await session.type(char)
    return [text[: event.flush.draft_code_points] for event in seen if event.WhichOneof("kind") == "flush"]


async def test_japanese_flushes_at_every_character_for_nothing_stands_between_its_words() -> None:
    assert await typed_key_by_key("患者を") == ["患", "患者", "患者を"]


async def test_an_apostrophe_flushes_nothing() -> None:
    assert await typed_key_by_key("I don't, don\u2019t") == ["I ", "I don't,", "I don't, "]


async def test_a_paste_flushes_once_and_leaves_to_the_server_what_is_confirmed() -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session() as session:
        await session.type("One. Two! 三、四 ...")
        await session.type("five")
    assert [said(event) for event in seen] == ["One. Two! 三、四 ...", ("flush", None), "five", "end"]


async def test_a_flush_by_hand_names_what_is_confirmed_only_where_its_caller_does() -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session(auto_flush=False) as session:
        await session.type("Show me")
        await session.flush()
        await session.flush(0)
        await session.flush(confirmed=5)
    assert [said(event) for event in seen] == ["Show me", ("flush", None), ("flush", 0), ("flush", 5), "end"]


async def test_a_flush_carries_length_and_checksum_of_the_draft() -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session() as session:
        await session.type("caf\u00e9 \U0001f600")
    flush = seen[1].flush
    assert flush.draft_code_points == 6
    assert flush.draft_crc32 == zlib.crc32("caf\u00e9 \U0001f600".encode())
    assert not flush.HasField("confirmed_code_points")


async def test_an_edit_inside_confirmed_text_flushes_again() -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session() as session:
        await session.type("Show me ")
        await session.replace(5, 7, "us")
    assert [said(event) for event in seen] == ["Show me ", ("flush", None), (5, 7, "us"), ("flush", None), "end"]


async def test_a_draft_to_resume_from_is_flushed_at_once() -> None:
    seen: list[pb.KeystrokeEvent] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(await drain(wire))

    async with connected(script) as client, client.session(draft="Show me al"):
        pass
    assert [said(event) for event in seen] == [("flush", None), "end"]


async def test_flushed_waits_for_the_result_of_that_flush() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        first, second = await wire.until("flush"), await wire.until("flush")
        await wire.warmed(second, cached_tokens=64)
        await wire.warmed(first, cached_tokens=48)
        await drain(wire)

    heard: list[FlushResult] = []
    async with connected(script) as client, client.session(auto_flush=False, on_flush=heard.append) as session:
        await session.type("Show me ")
        first = await session.flush()
        second = await session.flush(5)
        assert (await session.flushed(first)).cached_tokens == 48
        result = await session.flushed(second)
        assert result == FlushResult(second, 5, 50, 64, 16, FlushOutcome.WARMED)
        assert [result.seq for result in session.flush_results] == [first, second]
        assert [result.seq for result in heard] == [second, first]
        with pytest.raises(ValueError, match="no flush of this turn"):
            await session.flushed(99)


async def test_waiting_for_a_flush_goes_on_over_the_submit_that_follows() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        flush, submit = await wire.until("flush"), await wire.until("submit")
        await wire.warmed(flush)
        await wire.answer(submit.seq, "ok")
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("Show ")
        waiting = asyncio.create_task(session.flushed(2))
        await asyncio.sleep(0)
        answer = await session.submit()
        assert (await waiting).outcome is FlushOutcome.WARMED
        assert await answer.text() == "ok"


async def test_waiting_for_a_flush_ends_when_the_stream_ends() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.until("flush")
        await wire.fail(grpc.StatusCode.UNAVAILABLE, "the engine has died", error_reason="ENGINE_UNAVAILABLE")

    async with connected(script) as client, client.session(auto_flush=False) as session:
        with pytest.raises(EngineUnavailable, match="the engine has died") as caught:
            await session.flushed(await session.flush())
        assert caught.value.retryable
        assert caught.value.reason == "ENGINE_UNAVAILABLE"
        assert not caught.value.session_continues
        with pytest.raises(EngineUnavailable):
            await session.type("x")


async def test_a_callback_that_raises_ends_the_session_and_is_told() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.warmed(await wire.until("flush"))
        await drain(wire)

    def broken(_: FlushResult) -> None:
        raise KeyError("mine")

    async with connected(script) as client, client.session(auto_flush=False, on_flush=broken) as session:
        await session.flush()
        ended = await session.flush()
        with pytest.raises(ForefillError, match="KeyError"):
            await session.flushed(ended)
