"""Answers to the conversation as it is, against a scripted server on loopback."""

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    ChatMessage,
    EmptySubmit,
    GenerationFailed,
    GenerationInterrupted,
    GenerationRunning,
    InvalidRequest,
    Resume,
    ToolCall,
)

from tests.support.scripted_service import OPENED, Wire, connected
from tests.support.session_events import drain

RESPONDS = pb.Opened()
RESPONDS.CopyFrom(OPENED)
RESPONDS.accepts_respond = True
ASKED = ChatMessage("user", "How many?")
CALLED = ChatMessage("assistant", "", tool_calls=(ToolCall("1", "count_beds", "{}"),))
RESUME = Resume(seconds=30, first_delay_seconds=0.01)
RESULT = ChatMessage("tool", "3", tool_call_id="1")


async def test_the_results_of_tools_are_answered_and_the_draft_stays() -> None:
    kept: list[int] = []

    async def script(wire: Wire) -> None:
        await wire.open(RESPONDS)
        rewrite = (await wire.until("rewrite")).rewrite
        kept.extend([rewrite.keep_messages, len(rewrite.messages)])
        asked = await wire.event()
        assert asked.WhichOneof("kind") == "respond"
        await wire.answer(asked.seq, "There are ", "three.")
        typed = await wire.until("char_add")
        assert typed.char_add.text == " where?"
        submit = await wire.until("submit")
        assert submit.submit.text == "And where?"
        await wire.answer(submit.seq, "Here.")
        await drain(wire)

    async with connected(script) as client, client.session([ASKED, CALLED], draft="And") as session:
        answer = await session.respond([RESULT])
        assert answer.submitted_text == ""
        assert await answer.text() == "There are three."
        assert session.draft == "And"
        assert session.messages == (ASKED, CALLED, RESULT, ChatMessage("assistant", "There are three."))
        await session.type(" where?")
        await (await session.submit()).text()
        assert len(session.messages) == 6
    assert kept == [2, 1]


async def test_a_refusal_leaves_draft_and_conversation_and_it_can_be_asked_again() -> None:
    kinds: list[str] = []

    async def script(wire: Wire) -> None:
        await wire.open(RESPONDS)
        await wire.refuse((await wire.until("respond")).seq, pb.ERROR_REASON_GENERATION_FAILED)
        again = await wire.event()
        kinds.append(again.WhichOneof("kind") or "")
        await wire.answer(again.seq, "three")
        kinds.extend(event.WhichOneof("kind") or "" for event in await drain(wire))

    async with connected(script) as client, client.session([ASKED, CALLED], draft="And") as session:
        with pytest.raises(GenerationFailed):
            await (await session.respond([RESULT])).text()
        assert (session.draft, session.messages) == ("And", (ASKED, CALLED, RESULT))
        await (await session.respond()).text()
        assert session.messages[-1] == ChatMessage("assistant", "three")
    assert kinds == ["respond", "end"]


async def test_a_part_of_it_is_gone_on_with_on_another_stream() -> None:
    seen: list[tuple[int, str, str]] = []
    streams = iter(["first", "second"])

    async def script(wire: Wire) -> None:
        stream = next(streams)
        await wire.open(RESPONDS)
        respond = await wire.until("respond")
        seen.append((len(wire.opening.messages), wire.opening.draft, respond.respond.answer_so_far))
        if stream == "first":
            await wire.send(generation_delta=pb.GenerationDelta(seq=respond.seq, text="There are "))
            await wire.fail(grpc.StatusCode.UNAVAILABLE, "gone")
        await wire.answer(respond.seq, "three.")
        assert (await drain(wire))[-1].WhichOneof("kind") == "end"

    async with connected(script, RESUME) as client, client.session([ASKED], draft="And") as session:
        answer = await session.respond()
        assert await answer.text() == "There are three."
        assert answer.resumed == 1
        assert session.messages == (ASKED, ChatMessage("assistant", "There are three."))
        assert session.draft == "And"
    assert seen == [(1, "And", ""), (1, "And", "There are ")]


async def test_a_part_that_no_request_can_go_on_with_is_no_draft() -> None:
    streams, kinds = iter(["first", "second"]), list[str]()

    async def script(wire: Wire) -> None:
        stream = next(streams)
        await wire.open(RESPONDS)
        if stream == "first":
            respond = await wire.until("respond")
            call = pb.ToolCallDelta(id="2", name="count_beds")
            await wire.send(generation_delta=pb.GenerationDelta(seq=respond.seq, tool_calls=[call]))
            await wire.fail(grpc.StatusCode.UNAVAILABLE, "gone")
        again = await wire.event()
        await wire.answer(again.seq, "three")
        kinds.extend(event.WhichOneof("kind") or "" for event in [again, *await drain(wire)])

    async with connected(script, RESUME) as client, client.session([ASKED]) as session:
        with pytest.raises(GenerationInterrupted):
            await (await session.respond()).text()
        assert (session.draft, session.messages) == ("", (ASKED,))
        assert await (await session.respond()).text() == "three"
    assert kinds == ["respond", "end"]


async def test_an_answer_to_a_conversation_is_generated_anew() -> None:
    kept: list[int] = []

    async def script(wire: Wire) -> None:
        await wire.open(RESPONDS)
        kept.append((await wire.until("rewrite")).rewrite.keep_messages)
        await wire.answer((await wire.until("respond")).seq, "Three.")
        await drain(wire)

    said = [ASKED, CALLED, RESULT, ChatMessage("assistant", "Four.")]
    async with connected(script) as client, client.session(said) as session:
        await (await session.regenerate()).text()
        assert session.messages == (ASKED, CALLED, RESULT, ChatMessage("assistant", "Three."))
    assert kept == [3]


async def test_a_continued_message_is_one_with_its_answer() -> None:
    async def script(wire: Wire) -> None:
        await wire.open(RESPONDS)
        await wire.answer((await wire.until("respond")).seq, " 1")
        await drain(wire)

    said = [ASKED, ChatMessage("assistant", "SELECT")]
    async with connected(script) as client, client.session(said, continue_final_message=True) as session:
        await (await session.respond()).text()
        assert session.messages == (ASKED, ChatMessage("assistant", "SELECT 1"))
        with pytest.raises(InvalidRequest, match="question and its answer"):
            await session.regenerate()


async def opens(wire: Wire) -> None:
    await wire.open(RESPONDS)
    await drain(wire)


async def test_there_is_none_to_nothing() -> None:
    async with connected(opens) as client, client.session() as session:
        with pytest.raises(EmptySubmit, match="no message to respond to"):
            await session.respond()
        await session.type("the session goes on")


async def test_there_is_one_at_a_time() -> None:
    async with connected(opens) as client, client.session([ASKED]) as session:
        await session.respond()
        with pytest.raises(GenerationRunning):
            await session.respond([RESULT])
        assert session.messages == (ASKED,)


async def test_a_server_that_does_not_know_it_is_not_asked() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        assert [event.WhichOneof("kind") for event in await drain(wire)] == ["end"]

    async with connected(script) as client, client.session([ASKED]) as session:
        with pytest.raises(InvalidRequest, match="older than this client"):
            await session.respond([RESULT])
        assert session.messages == (ASKED,)
