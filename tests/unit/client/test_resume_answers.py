"""Answers of sessions whose stream breaks, against a scripted server on loopback."""

import asyncio

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    FinishReason,
    GenerationInterrupted,
    Sampling,
)

from tests.support.broken_streams import RESUME, UNAVAILABLE, breaks_after_an_event, goes_on, one_after_the_other
from tests.support.scripted_service import Wire, connected
from tests.support.session_events import conversation, drain


async def test_an_answer_of_which_nothing_came_is_asked_for_again_beside_the_draft() -> None:
    seen: list[object] = []

    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.answer((await wire.until("submit")).seq, "one")
        await wire.until("submit")
        await wire.until("char_add")
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await wire.open()
        seen.append(wire.opening.draft)
        again = await wire.event()
        seen.extend([again.seq, again.submit.text, (await wire.until("char_add")).char_add.text])
        await wire.answer(again.seq, "two")
        await drain(wire)

    async with (
        connected(one_after_the_other(first, second), RESUME) as client,
        client.session(auto_flush=False) as session,
    ):
        await (await session.submit("a")).text()
        answer = await session.submit("b")
        await session.type("next")
        assert await answer.text() == "two"
        assert session.draft == "next"
        assert conversation(session) == [("user", "a"), ("assistant", "one"), ("user", "b"), ("assistant", "two")]
    assert seen == ["next", 1, "b", "next"]


async def test_a_submit_between_two_streams_is_sent_once() -> None:
    reached, submitted = asyncio.Event(), asyncio.Event()
    seen: list[object] = []

    async def second(wire: Wire) -> None:
        reached.set()  # the stream is there, but is not opened yet
        await submitted.wait()
        await wire.open()
        submit = await wire.event()
        await wire.answer(submit.seq, "ok")
        seen.extend([submit.submit.text, *[event.WhichOneof("kind") for event in await drain(wire)]])

    async with (
        connected(one_after_the_other(breaks_after_an_event, second), RESUME) as client,
        client.session(auto_flush=False) as session,
    ):
        await session.type("x")
        await reached.wait()
        answer = await session.submit()
        submitted.set()
        assert await answer.text() == "ok"
    assert seen == ["x", "end"]


async def test_an_answer_that_is_cancelled_between_two_streams_is_not_asked_for_again() -> None:
    reached, cancelled = asyncio.Event(), asyncio.Event()
    seen: list[object] = []

    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.until("submit")
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        reached.set()
        await cancelled.wait()
        await wire.open()
        late = await wire.until("cancel")
        await wire.refuse(late.seq, pb.ERROR_REASON_NOTHING_TO_CANCEL)
        seen.extend(event.WhichOneof("kind") for event in await drain(wire))

    async with (
        connected(one_after_the_other(first, second), RESUME) as client,
        client.session(auto_flush=False) as session,
    ):
        answer = await session.submit("x")
        await reached.wait()
        cancelling = asyncio.create_task(answer.cancel())
        await asyncio.sleep(0)
        cancelled.set()
        await cancelling
        assert answer.report.finish_reason is FinishReason.CANCELLED
        await session.type("y")
        assert session.draft == "y"
    assert seen == ["char_add", "end"]


async def test_an_answer_of_which_a_part_came_goes_on_after_it() -> None:
    seen: list[tuple[str, str]] = []

    async def first(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.send(generation_started=pb.GenerationStarted(seq=submit.seq))
        await wire.send(generation_delta=pb.GenerationDelta(seq=submit.seq, text="SEL"))
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        seen.append((submit.submit.text, submit.submit.answer_so_far))
        await wire.answer(submit.seq, "ECT", " 1")
        await drain(wire)

    async with connected(one_after_the_other(first, second), RESUME) as client, client.session() as session:
        answer = await session.submit("x")
        assert [delta async for delta in answer] == ["SEL", "ECT", " 1"]
        assert answer.resumed == 1
        assert answer.report.ttft_seconds <= answer.report.total_seconds
        assert conversation(session) == [("user", "x"), ("assistant", "SELECT 1")]
    assert seen == [("x", "SEL")]


async def test_an_answer_that_the_server_cannot_go_on_with_says_so() -> None:
    async def first(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.send(generation_delta=pb.GenerationDelta(seq=submit.seq, text="SEL"))
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await wire.open()
        await wire.refuse((await wire.until("submit")).seq, pb.ERROR_REASON_GENERATION_FAILED)
        await drain(wire)

    async with connected(one_after_the_other(first, second), RESUME) as client, client.session() as session:
        with pytest.raises(GenerationInterrupted, match="what to do next") as caught:
            await (await session.submit("x")).text()
        assert (caught.value.text, session.draft) == ("SEL", "x")


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(stop="END"),
        Sampling(seed=1),
        Sampling(presence_penalty=0.5),
        Sampling(bad_words="no"),
        Sampling(json_object=True),
        Sampling(choice=["SELECT", "INSERT"]),
    ],
)
async def test_an_answer_that_no_other_request_can_continue_says_so_and_the_session_goes_on(
    sampling: Sampling,
) -> None:
    drafts: list[str] = []

    async def first(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.send(generation_delta=pb.GenerationDelta(seq=submit.seq, text="SEL"))
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await goes_on(wire)
        drafts.append(wire.opening.draft)

    async with (
        connected(one_after_the_other(first, second), RESUME) as client,
        client.session(sampling=sampling) as session,
    ):
        got: list[str] = []
        with pytest.raises(GenerationInterrupted, match="the session goes on") as caught:  # noqa: PT012
            async for delta in await session.submit("x"):
                got.append(delta)
        assert (got, caught.value.text, caught.value.session_continues) == (["SEL"], "SEL", True)
        assert session.draft == "x"
        assert await (await session.submit()).text() == "x"
    assert drafts == ["x"]


@pytest.mark.parametrize("keep_text", [True, False])
async def test_an_answer_that_is_being_cancelled_ends_with_what_came(keep_text: bool) -> None:
    said: list[list[str]] = []

    async def first(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.send(generation_delta=pb.GenerationDelta(seq=submit.seq, text="SEL"))
        await wire.until("cancel")
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await goes_on(wire)
        said.append([message.content for message in wire.opening.messages])

    async with connected(one_after_the_other(first, second), RESUME) as client, client.session() as session:
        answer = await session.submit("x")
        await anext(aiter(answer))  # the iteration is left here, which keeps the text
        await answer.cancel(keep_text=keep_text)
        assert answer.report.finish_reason is FinishReason.CANCELLED
        assert await (await session.submit("y")).text() == "y"
    assert said == [["x", "SEL"]]


async def test_an_answer_after_end_comes_from_the_next_stream() -> None:
    seen: list[str] = []
    ended = asyncio.Event()

    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.until("end")
        ended.set()
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await wire.open()
        submit = await wire.event()
        seen.extend([submit.submit.text, (await wire.event()).WhichOneof("kind") or ""])
        await wire.answer(submit.seq, "ok")

    async with connected(one_after_the_other(first, second), RESUME) as client, client.session() as session:
        answer = await session.submit("x")
        ending = asyncio.create_task(session.end())
        await ended.wait()
        assert await answer.text() == "ok"
        await ending
    assert seen == ["x", "end"]


async def test_the_tokens_of_an_answer_that_is_asked_for_again_come_once() -> None:
    def token(seq: int, text: str) -> pb.GenerationDelta:
        token = pb.TokenLogprobs(token=pb.TokenLogprob(id=1, text="SEL", logprob=-1.0))
        return pb.GenerationDelta(seq=seq, text=text, logprobs=[token])

    async def first(wire: Wire) -> None:
        await wire.open()
        await wire.send(generation_delta=token((await wire.until("submit")).seq, ""))  # its text is still held back
        await wire.fail(UNAVAILABLE, "gone")

    async def second(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        assert submit.submit.answer_so_far == ""
        await wire.send(generation_delta=token(submit.seq, "SEL"))
        await wire.answer(submit.seq)
        await drain(wire)

    async with (
        connected(one_after_the_other(first, second), RESUME) as client,
        client.session(sampling=Sampling(logprobs=0, stop="END")) as session,
    ):
        answer = await session.submit("x")
        assert await answer.text() == "SEL"
        assert len(answer.logprobs) == 1
