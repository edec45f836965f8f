"""What a session sends, hears and raises, against a scripted server on loopback."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    Aborted,
    AsyncClient,
    CacheScope,
    ChatMessage,
    DraftDiverged,
    DraftTooLong,
    EmptySubmit,
    EngineUnavailable,
    FinishReason,
    FlushOutcome,
    FlushResult,
    ForefillError,
    GenerationFailed,
    GenerationRunning,
    GenerationSource,
    InternalError,
    InvalidRequest,
    InvalidSampling,
    InvalidText,
    MessageLike,
    NotReachable,
    Report,
    Sampling,
    ServerStopping,
    Session,
    SessionEnded,
    TooManySessions,
    Unavailable,
    WarmMode,
)

from tests.support.scripted_service import OPENED, Wire, connected


def said(event: pb.KeystrokeEvent) -> object:
    """What one event says, as a value that reads well in an assertion."""
    match event.WhichOneof("kind"):
        case "char_add":
            return event.char_add.text
        case "char_delete":
            return -event.char_delete.count
        case "replace":
            return event.replace.start, event.replace.end, event.replace.text
        case "flush":
            confirmed = event.flush.confirmed_code_points if event.flush.HasField("confirmed_code_points") else None
            return "flush", confirmed
        case kind:
            return kind


async def drain(wire: Wire) -> list[pb.KeystrokeEvent]:
    """Take in everything until END or the end of the stream."""
    events: list[pb.KeystrokeEvent] = []
    try:
        while not events or events[-1].WhichOneof("kind") != "end":
            events.append(await wire.event())
    except StopAsyncIteration:
        pass
    return events


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
    assert (opening.draft, opening.session_key) == ("Sh", "k")
    assert (opening.warm_mode, opening.cache_scope) == (pb.WARM_MODE_OFF, pb.CACHE_SCOPE_SESSION)
    assert not opening.chat_template_kwargs["enable_thinking"]


async def test_opened_is_what_the_server_said() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        assert session.opened.model == "scripted"
        assert session.opened.block_size == 16
        assert session.opened.base_prompt_tokens == 40
        assert session.opened.limits.max_draft_code_points == 1000


@pytest.mark.parametrize("messages", [["text"], [("system",)], [{"role": "user"}], [("user", 3)], [3]])
async def test_a_message_of_another_shape_is_refused_before_anything_is_sent(messages: list[Any]) -> None:
    async with connected(drain_opened) as client:
        with pytest.raises(InvalidRequest, match="a message is"):
            client.session(messages)


async def drain_opened(wire: Wire) -> None:
    await wire.open()
    await drain(wire)


async def test_a_sampling_value_of_the_wrong_type_is_named() -> None:
    async with connected(drain_opened) as client:
        with pytest.raises(InvalidRequest, match=r"Sampling\.max_tokens cannot be -1"):
            client.session(sampling=Sampling(max_tokens=-1))


async def test_nobody_at_the_address_is_not_reachable() -> None:
    with pytest.raises(NotReachable, match="start one with forefill-server"):
        await AsyncClient.connect("127.0.0.1:1", connect_timeout_seconds=0.05)


async def test_awaited_connection_is_closed_by_hand() -> None:
    async with connected(drain_opened) as other:
        client = await AsyncClient.connect(other._target)
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


# Repairing


class Mirror:
    """The server's draft, by the rules of the wire."""

    def __init__(self) -> None:
        self.text = ""

    def take(self, event: pb.KeystrokeEvent) -> None:
        match event.WhichOneof("kind"):
            case "char_add":
                self.text += event.char_add.text
            case "char_delete":
                self.text = self.text[: max(0, len(self.text) - event.char_delete.count)]
            case "replace":
                edit = event.replace
                self.text = self.text[: edit.start] + edit.text + self.text[edit.end :]

    def agrees(self, flush: pb.Flush) -> bool:
        return flush.draft_code_points == len(self.text) and flush.draft_crc32 == zlib.crc32(self.text.encode())


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5])
async def test_an_edit_lost_on_the_way_is_repaired_unseen(lost: int) -> None:
    mirror = Mirror()

    async def script(wire: Wire) -> None:
        await wire.open()
        while (event := await wire.event()).WhichOneof("kind") != "end":
            if event.seq == lost:
                continue
            mirror.take(event)
            if event.WhichOneof("kind") == "flush":
                if mirror.agrees(event.flush):
                    await wire.warmed(event)
                else:
                    await wire.refuse(event.seq, pb.ERROR_REASON_DRAFT_DIVERGED, draft_code_points=len(mirror.text))

    async with connected(script) as client, client.session(auto_flush=False) as session:
        await session.type("Show ")
        await session.type("me ")
        await session.replace(0, 4, "Give")
        await session.delete(1)
        await session.type("\U0001f600 ")
        seq = await session.flush()
        await session.type("and in flight ")
        result = await session.flushed(seq)
        assert result.seq == seq
        assert result.outcome is FlushOutcome.WARMED
        assert session.repairs == 1
        assert mirror.text == session.draft == "Give me\U0001f600 and in flight "


async def test_one_repair_serves_all_flushes_that_failed_before_it() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        first, second = await wire.until("flush"), await wire.until("flush")
        await wire.refuse(first.seq, pb.ERROR_REASON_DRAFT_DIVERGED)
        await wire.refuse(second.seq, pb.ERROR_REASON_DRAFT_DIVERGED)
        await wire.warmed(await wire.until("flush"))
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("Show ")
        await session.type("me ")
        results = [await session.flushed(seq) for seq in (2, 4)]
        assert [result.outcome for result in results] == [FlushOutcome.WARMED] * 2
        assert session.repairs == 1


async def test_a_gap_is_repaired_and_its_flush_still_answered() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        flush = await wire.until("flush")
        await wire.refuse(flush.seq, pb.ERROR_REASON_SEQUENCE_GAP)
        await wire.warmed(flush)
        assert await wire.events(3) == ["char_delete", "char_add", "flush"]
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("Show ")
        assert (await session.flushed(2)).outcome is FlushOutcome.WARMED
        assert session.repairs == 1


async def test_a_draft_that_stays_different_is_given_up_and_submit_works() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        while (event := await wire.event()).WhichOneof("kind") != "submit":
            if event.WhichOneof("kind") == "flush":
                await wire.refuse(event.seq, pb.ERROR_REASON_DRAFT_DIVERGED)
        await wire.answer(event.seq, event.submit.text)
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("Show ")
        with pytest.raises(DraftDiverged) as caught:
            await session.flushed(2)
        assert caught.value.session_continues
        assert session.repairs == 3
        assert await (await session.submit()).text() == "Show "


async def test_a_divergence_found_after_submit_is_not_repaired() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        flush, submit = await wire.until("flush"), await wire.until("submit")
        await wire.refuse(flush.seq, pb.ERROR_REASON_DRAFT_DIVERGED)
        await wire.answer(submit.seq, "ok")
        assert await wire.events(1) == ["end"]

    async with connected(script) as client, client.session() as session:
        await session.type("Show ")
        assert await (await session.submit("Show me")).text() == "ok"
        assert (await session.flushed(2)).outcome is FlushOutcome.DEFERRED
        assert session.repairs == 0


# Answers


async def test_an_answer_streams_and_then_reports() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        assert submit.submit.text == "Show me all"
        await wire.answer(submit.seq, "SELECT", " *")
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("Show me all")
        answer = await session.submit()
        assert session.draft == ""
        with pytest.raises(RuntimeError, match="iterate to its end first"):
            _ = answer.report
        assert [delta async for delta in answer] == ["SELECT", " *"]
        report: Report = answer.report
        assert 0 < report.ttft_seconds <= report.total_seconds
        assert report.server_ttft_seconds == 0.02
        assert (report.prompt_tokens, report.cached_tokens, report.completion_tokens) == (60, 48, 2)
        assert report.source is GenerationSource.WARM
        assert report.finish_reason is FinishReason.STOP
        ledger = report.ledger
        assert ledger.computed_tokens == ledger.used_tokens + ledger.edited_away_tokens
        assert [delta async for delta in answer] == []


async def test_the_session_takes_the_next_turn_and_may_be_typed_into_meanwhile() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        for _ in range(2):
            submit = await wire.until("submit")
            await wire.answer(submit.seq, submit.submit.text.upper())
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        first = await session.submit("one")
        await session.type("tw")
        assert await first.text() == "ONE"
        await session.type("o")
        assert await (await session.submit()).text() == "TWO"


async def test_submit_of_nothing_is_refused_and_the_session_goes_on() -> None:
    async with connected(drain_opened) as client, client.session() as session:
        with pytest.raises(EmptySubmit) as caught:
            await session.submit()
        assert caught.value.session_continues
        await session.type("x")


async def test_submit_while_an_answer_runs_is_refused_and_the_answer_goes_on() -> None:
    go = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await go.wait()
        await wire.answer(submit.seq, "ok")
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        answer = await session.submit("one")
        with pytest.raises(GenerationRunning):
            await session.submit("two")
        go.set()
        assert await answer.text() == "ok"


async def test_a_refused_submit_raises_from_the_answer_and_can_be_repeated() -> None:
    seen: list[object] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.refuse(submit.seq, pb.ERROR_REASON_GENERATION_FAILED)
        seen.extend([said(await wire.event()), said(await wire.event())])
        submit = await wire.until("submit")
        await wire.answer(submit.seq, submit.submit.text)
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("Show me")
        answer = await session.submit()
        with pytest.raises(GenerationFailed, match="what to do next") as caught:
            await answer.text()
        assert caught.value.retryable
        assert caught.value.session_continues
        assert caught.value.seq == answer.seq
        assert session.draft == "Show me"
        assert await (await session.submit()).text() == "Show me"
    assert seen == [-(2**32 - 1), "Show me"]


async def test_a_stream_cut_in_mid_answer_gives_what_came_and_then_raises() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.send(generation_started=pb.GenerationStarted(seq=submit.seq))
        await wire.send(generation_delta=pb.GenerationDelta(seq=submit.seq, text="SEL"))
        await wire.fail(grpc.StatusCode.UNAVAILABLE, "Socket closed")

    got: list[str] = []
    async with connected(script) as client, client.session() as session:
        answer = await session.submit("x")
        with pytest.raises(Unavailable, match="connection to the server was lost"):  # noqa: PT012
            async for delta in answer:
                got.append(delta)
    assert got == ["SEL"]


async def test_breaking_off_an_answer_cancels_the_stream() -> None:
    cancelled = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.send(generation_delta=pb.GenerationDelta(seq=submit.seq, text="SEL"))
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with connected(script) as client, client.session() as session:
        async for _ in await session.submit("x"):
            break
        await cancelled.wait()
        with pytest.raises(Aborted, match="open a new one"):
            await session.type("y")


async def test_leaving_with_an_unread_answer_cancels_the_stream() -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.until("submit")
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with connected(script) as client:
        async with client.session() as session:
            await session.submit("x")
            await asked.wait()
        await cancelled.wait()


@pytest.mark.parametrize("attempt", range(20))
async def test_the_reason_reaches_a_client_that_is_typing_when_the_stream_ends(attempt: int) -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.events(3)
        await wire.fail(grpc.StatusCode.UNAVAILABLE, "the server stops", error_reason="SERVER_STOPPING")

    async with connected(script) as client, client.session(auto_flush=False) as session:
        with pytest.raises(ServerStopping):  # noqa: PT012 (any of these calls)
            while True:
                await session.type("x")
                await session.delete()
                await asyncio.sleep(0)


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
        with pytest.raises(SessionEnded):
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
        with pytest.raises(RuntimeError, match="entered once"):
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
