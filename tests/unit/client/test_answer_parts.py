"""The parts of an answer at the client: text, reasoning, calls of tools."""

import asyncio

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    AnswerPart,
    Client,
    FinishReason,
    GenerationInterrupted,
    Resume,
    Session,
    ToolCall,
    ToolCallPart,
)

from tests.support.scripted_service import OPENED, Wire, connected, serving
from tests.support.session_events import drain

SPLITS = pb.Opened()
SPLITS.CopyFrom(OPENED)
SPLITS.splits_answers = True
PARTS = [
    AnswerPart(reasoning="They ask "),
    AnswerPart(reasoning="for beds."),
    AnswerPart("Let me see."),
    AnswerPart(tool_calls=(ToolCallPart(0, "call-1", "beds", '{"ward": '),)),
    AnswerPart(tool_calls=(ToolCallPart(0, arguments="3}"), ToolCallPart(1, "call-2", "wards", "{}"))),
]
CALLS = (ToolCall("call-1", "beds", '{"ward": 3}'), ToolCall("call-2", "wards", "{}"))


async def says(wire: Wire, seq: int, part: AnswerPart) -> None:
    calls = [pb.ToolCallDelta(index=c.index, id=c.id, name=c.name, arguments=c.arguments) for c in part.tool_calls]
    delta = pb.GenerationDelta(seq=seq, text=part.text, reasoning=part.reasoning, tool_calls=calls)
    await wire.send(generation_delta=delta)


async def calls_tools(wire: Wire) -> None:
    await wire.open(SPLITS)
    submit = await wire.until("submit")
    for part in PARTS:
        await says(wire, submit.seq, part)
    finished = pb.GenerationFinished(seq=submit.seq, reason=pb.FINISH_REASON_TOOL_CALLS)
    await wire.send(generation_finished=finished)
    await drain(wire)


async def test_parts_are_all_of_it_as_it_comes() -> None:
    async with connected(calls_tools) as client, client.session(auto_flush=False) as session:
        assert session.opened.splits_answers
        answer = await session.submit("Beds?")
        assert [part async for part in answer.parts()] == PARTS
        assert answer.reasoning == "They ask for beds."
        assert answer.tool_calls == CALLS
        assert answer.text_so_far == "Let me see."
        assert answer.report.finish_reason is FinishReason.TOOL_CALLS


async def test_the_iteration_over_an_answer_is_its_text_alone() -> None:
    async with connected(calls_tools) as client, client.session(auto_flush=False) as session:
        answer = await session.submit("Beds?")
        assert [delta async for delta in answer] == ["Let me see."]
        assert answer.tool_calls == CALLS


async def test_without_await_it_is_the_same() -> None:
    def run(address: str) -> tuple[list[AnswerPart], str, tuple[ToolCall, ...]]:
        with Client.connect(address) as client, client.session(auto_flush=False) as session:
            answer = session.submit("Beds?")
            return list(answer.parts()), answer.reasoning, answer.tool_calls

    async with serving(calls_tools) as address:
        assert await asyncio.to_thread(run, address) == (PARTS, "They ask for beds.", CALLS)


async def test_what_has_come_besides_text_cannot_go_on_on_another_stream() -> None:
    streams = 0

    async def script(wire: Wire) -> None:
        nonlocal streams
        streams += 1
        await wire.open(SPLITS)
        if streams == 1:
            submit = await wire.until("submit")
            await says(wire, submit.seq, PARTS[0])
            await heard(session)
            await wire.fail(grpc.StatusCode.UNAVAILABLE, "gone")
        await drain(wire)

    async def heard(session: Session) -> None:
        answer = session._conversation.answer
        assert answer is not None
        await session._exchange.until(lambda: bool(answer.reasoning))

    resume = Resume(seconds=20, first_delay_seconds=0.001, longest_delay_seconds=0.01)
    async with connected(script, resume) as client, client.session(auto_flush=False) as session:
        answer = await session.submit("Beds?")
        with pytest.raises(GenerationInterrupted) as interrupted:
            await answer.text()
        assert interrupted.value.session_continues
        assert session.draft == "Beds?"
        assert streams == 2
