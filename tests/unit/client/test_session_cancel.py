"""Answers that are stopped, and conversations that are changed, against a scripted server on loopback."""

import asyncio

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    ChatMessage,
    FinishReason,
    GenerationFailed,
    GenerationRunning,
    InvalidRequest,
    ProtocolError,
    Session,
    ToolCall,
)

from tests.support.scripted_service import Wire, connected
from tests.support.session_events import drain

SYSTEM = ChatMessage("system", "You write SQL.")


async def begin(wire: Wire, *deltas: str) -> int:
    """Take in a submit, and send this much of its answer."""
    seq = (await wire.until("submit")).seq
    for delta in deltas:
        await wire.send(generation_delta=pb.GenerationDelta(seq=seq, text=delta))
    return seq


async def cancelled(wire: Wire, seq: int) -> pb.Cancel:
    """Take in a cancel, and end the answer."""
    event = await wire.until("cancel")
    await wire.send(generation_finished=pb.GenerationFinished(seq=seq, reason=pb.FINISH_REASON_CANCELLED))
    return event.cancel


def conversation(session: Session) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in session.messages]


async def answers_and_is_stopped(wire: Wire) -> None:
    """Answer each submit with two deltas, and wait to be stopped."""
    await wire.open()
    while True:
        try:
            await cancelled(wire, await begin(wire, "SEL", "ECT"))
        except StopAsyncIteration:
            return


@pytest.mark.parametrize(("keep_text", "kept"), [(True, [("user", "x"), ("assistant", "SELECT")]), (False, [])])
async def test_an_answer_that_is_cancelled_ends_and_the_session_goes_on(
    keep_text: bool, kept: list[tuple[str, str]]
) -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        seq = await begin(wire, "SEL", "ECT")
        assert (await cancelled(wire, seq)).keep_text is keep_text
        await wire.answer((await wire.until("submit")).seq, "ok")
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM]) as session:
        answer = await session.submit("x")
        read: list[str] = []
        async for delta in answer:
            read.append(delta)
            if len(read) == 2:
                await answer.cancel(keep_text=keep_text)
        assert read == ["SEL", "ECT"]
        assert answer.complete
        assert answer.cancelled
        assert answer.report.finish_reason is FinishReason.CANCELLED
        assert conversation(session) == [("system", SYSTEM.content), *kept]
        assert await (await session.submit("y")).text() == "ok"


async def test_another_task_stops_an_answer_before_its_first_token() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await cancelled(wire, await begin(wire))
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        answer = await session.submit("x")
        reading = asyncio.create_task(answer.text())
        await answer.cancel()
        assert await reading == ""
        assert session.messages == ()
        assert answer.report.ttft_seconds == answer.report.total_seconds


async def test_who_breaks_off_the_iteration_can_go_on_at_once() -> None:
    async with connected(answers_and_is_stopped) as client, client.session() as session:
        for text in ("x", "y"):
            answer = await session.submit(text)
            async for _ in answer:
                break
            await session.type("z")
            assert session.draft == "z"
        await answer.cancel()
        said = [("user", "x"), ("assistant", "SELECT"), ("user", "y"), ("assistant", "SELECT")]
        assert conversation(session) == said


async def test_who_is_cancelled_while_reading_stops_the_answer() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await cancelled(wire, await begin(wire))
        await wire.answer((await wire.until("submit")).seq, "ok")
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for((await session.submit("x")).text(), 0.05)
        assert await (await session.submit("y")).text() == "ok"


async def test_leaving_the_session_after_a_break_ends_it_in_good_order() -> None:
    ended = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.open()
        await cancelled(wire, await begin(wire, "SEL"))
        await wire.until("end")
        ended.set()

    async with connected(script) as client:
        async with client.session() as session:
            async for _ in await session.submit("x"):
                break
        await asyncio.wait_for(ended.wait(), 5)


async def test_an_answer_that_was_complete_by_then_stays() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.answer(submit.seq, "SELECT")
        late = await wire.until("cancel")
        await wire.refuse(late.seq, pb.ERROR_REASON_NOTHING_TO_CANCEL)
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        answer = await session.submit("x")
        await answer.cancel(keep_text=False)
        assert answer.report.finish_reason is FinishReason.STOP
        await answer.cancel()
        assert conversation(session) == [("user", "x"), ("assistant", "SELECT")]
        await session.type("the late refusal is no error of a later call")


async def test_an_answer_that_fails_is_no_part_of_the_conversation() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.refuse(await begin(wire), pb.ERROR_REASON_GENERATION_FAILED)
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM]) as session:
        with pytest.raises(GenerationFailed):
            await (await session.submit("x")).text()
        assert session.messages == (SYSTEM,)
        assert session.draft == "x"


async def test_a_server_that_knows_no_cancel_goes_on_and_the_next_call_says_so() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.refuse((await wire.until("cancel")).seq, pb.ERROR_REASON_EVENT_MISSING)
        await wire.answer(submit.seq, "SELECT")
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        answer = await session.submit("x")
        await answer.cancel()
        assert answer.report.finish_reason is FinishReason.STOP
        with pytest.raises(ProtocolError):
            await session.type("y")


async def test_rewrite_changes_the_conversation_and_leaves_the_draft() -> None:
    seen: list[pb.Rewrite] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.answer((await wire.until("submit")).seq, "SELECT")
        seen.append((await wire.until("rewrite")).rewrite)
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM]) as session:
        await (await session.submit("x")).text()
        await session.type("half ")
        await session.rewrite(1, [("user", "other"), {"role": "assistant", "content": "yes"}])
        assert session.draft == "half "
        said = [("system", SYSTEM.content), ("user", "other"), ("assistant", "yes")]
        assert conversation(session) == said
    assert seen[0].keep_messages == 1
    assert [(message.role, message.content) for message in seen[0].messages] == said[1:]


@pytest.mark.parametrize("keep_messages", [-1, 2])
async def test_a_rewrite_that_keeps_what_is_not_there_changes_nothing(keep_messages: int) -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM]) as session:
        with pytest.raises(InvalidRequest, match="0 to 1"):
            await session.rewrite(keep_messages)
        with pytest.raises(InvalidRequest, match="a message is"):
            await session.rewrite(0, ["x"])  # type: ignore[list-item]
        assert session.messages == (SYSTEM,)


async def test_a_conversation_is_rewritten_with_all_that_messages_hold() -> None:
    seen: list[pb.ChatMessage] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend((await wire.until("rewrite")).rewrite.messages)
        await drain(wire)

    call = {"id": "1", "type": "function", "function": {"name": "beds", "arguments": "{}"}}
    async with connected(script) as client, client.session([SYSTEM]) as session:
        result = {"role": "tool", "content": "3", "tool_call_id": "1"}
        await session.rewrite(1, [{"role": "assistant", "content": None, "tool_calls": [call]}, result])
        assert session.messages[1:] == (
            ChatMessage("assistant", tool_calls=(ToolCall("1", "beds", "{}"),)),
            ChatMessage("tool", "3", tool_call_id="1"),
        )
    assert seen == [
        pb.ChatMessage(role="assistant", tool_calls=[pb.ToolCall(id="1", name="beds", arguments="{}")]),
        pb.ChatMessage(role="tool", content="3", tool_call_id="1"),
    ]


async def test_an_answer_is_generated_anew_beside_a_draft() -> None:
    seen: list[str | int] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.answer((await wire.until("submit")).seq, "one")
        seen.append((await wire.until("rewrite")).rewrite.keep_messages)
        again = await wire.event()
        seen.append(again.submit.text)
        seen.extend([(await wire.event()).WhichOneof("kind") or "", (await wire.event()).char_add.text])
        await wire.answer(again.seq, "two")
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM], auto_flush=False) as session:
        await (await session.submit("x")).text()
        await session.type("half")
        assert await (await session.regenerate()).text() == "two"
        assert session.draft == "half"
        assert conversation(session) == [("system", SYSTEM.content), ("user", "x"), ("assistant", "two")]
    assert seen == [1, "x", "char_delete", "half"]


async def test_a_draft_that_the_answer_continues_is_one_message_with_it_and_can_be_continued_anew() -> None:
    seen: list[str | int] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.answer((await wire.until("submit")).seq, "1")
        seen.append((await wire.until("rewrite")).rewrite.keep_messages)
        again = await wire.until("submit")
        seen.append(again.submit.text)
        await wire.answer(again.seq, "2")
        seen.append(len((await wire.until("rewrite")).rewrite.messages))
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM], continue_final_message=True) as session:
        await (await session.submit("SELECT ")).text()
        assert conversation(session) == [("system", SYSTEM.content), ("assistant", "SELECT 1")]
        assert await (await session.regenerate()).text() == "2"
        assert session.messages == (SYSTEM, ChatMessage("assistant", "SELECT 2"))
        await session.rewrite(1, [("assistant", "SELECT 3")])
        with pytest.raises(InvalidRequest, match="question and its answer"):
            await session.regenerate()
    assert seen == [1, "SELECT ", 1]


async def test_a_question_that_a_submit_cannot_repeat_is_not_asked_anew_without_its_name() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await drain(wire)

    said = [ChatMessage("user", "How many?", name="Ann"), ChatMessage("assistant", "Two.")]
    async with connected(script) as client, client.session(said) as session:
        with pytest.raises(InvalidRequest, match="question and its answer"):
            await session.regenerate()
        assert session.messages == tuple(said)


async def test_there_is_nothing_to_generate_anew_before_the_first_answer() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await drain(wire)

    async with connected(script) as client, client.session([SYSTEM]) as session:
        with pytest.raises(InvalidRequest, match="question and its answer"):
            await session.regenerate()


async def test_nothing_is_rewritten_while_an_answer_runs() -> None:
    async with connected(answers_and_is_stopped) as client, client.session() as session:
        answer = await session.submit("x")
        with pytest.raises(GenerationRunning, match="or cancel it"):
            await session.rewrite(0)
        with pytest.raises(GenerationRunning):
            await session.regenerate()
        await answer.cancel()
        await session.rewrite(0)
        assert session.messages == ()
