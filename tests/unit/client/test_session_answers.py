"""The answers of a session, against a scripted server on loopback."""

import asyncio

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    AdapterNotFound,
    ChatMessage,
    EmptySubmit,
    FinishReason,
    GenerationFailed,
    GenerationRunning,
    GenerationSource,
    PregenerationCount,
    PregenerationOutcome,
    Report,
    Sampling,
    ServerStopping,
    TokenLogprob,
    TokenLogprobs,
    Unavailable,
)

from tests.support.scripted_service import Wire, connected
from tests.support.session_events import drain, drain_opened, said

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
        with pytest.raises(RuntimeError, match="iterate over it to the end first"):
            _ = answer.report
        assert [delta async for delta in answer] == ["SELECT", " *"]
        report: Report = answer.report
        assert 0 < report.ttft_seconds <= report.total_seconds
        assert report.server_ttft_seconds == 0.02
        assert (report.prompt_tokens, report.cached_tokens, report.completion_tokens) == (60, 48, 2)
        assert report.source is GenerationSource.WARM
        assert not report.prompt_by_engine
        assert report.finish_reason is FinishReason.STOP
        ledger = report.ledger
        assert ledger.computed_tokens == ledger.used_tokens + ledger.edited_away_tokens
        assert [delta async for delta in answer] == []


async def test_logprobs_are_collected_beside_the_text_that_is_iterated_over() -> None:
    select = pb.TokenLogprob(id=5, text="SELECT", logprob=-0.5)
    star, end = pb.TokenLogprob(id=6, text=" *", logprob=-0.25), pb.TokenLogprob(id=2, logprob=-1.0)

    async def script(wire: Wire) -> None:
        await wire.open()
        assert wire.opening.sampling.logprobs == 1
        seq = (await wire.until("submit")).seq
        for text, tokens in (("SELECT *", (select, star)), ("", (end,))):
            logprobs = [pb.TokenLogprobs(token=token, likeliest=[select]) for token in tokens]
            await wire.send(generation_delta=pb.GenerationDelta(seq=seq, text=text, logprobs=logprobs))
        await wire.answer(seq)
        await drain(wire)

    async with connected(script) as client, client.session(sampling=Sampling(logprobs=1)) as session:
        answer = await session.submit("Show me all")
        assert [delta async for delta in answer] == ["SELECT *"], "a token without text is no delta"
        first = TokenLogprob(id=5, text="SELECT", logprob=-0.5)
        assert answer.logprobs == (
            TokenLogprobs(first, (first,)),
            TokenLogprobs(TokenLogprob(id=6, text=" *", logprob=-0.25), (first,)),
            TokenLogprobs(TokenLogprob(id=2, text="", logprob=-1.0), (first,)),
        )
        assert answer.text_so_far == "SELECT *"


async def test_an_answer_has_no_logprobs_unless_they_are_asked_for() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        assert not wire.opening.sampling.HasField("logprobs")
        await wire.answer((await wire.until("submit")).seq, "SELECT")
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        answer = await session.submit("Show me all")
        await answer.text()
        assert answer.logprobs == ()


async def test_an_adapter_that_the_engine_does_not_have_is_raised_when_the_session_is_entered() -> None:
    async def script(wire: Wire) -> None:
        await wire.event()
        await wire.fail(grpc.StatusCode.NOT_FOUND, "it has sql", error_reason="ADAPTER_NOT_FOUND")

    async with connected(script) as client:
        with pytest.raises(AdapterNotFound, match="it has sql"):
            await client.session(adapter="prose").__aenter__()


async def test_a_report_tells_what_became_of_begun_answers() -> None:
    names = {value: name for name, value in pb.PregenerationOutcome.items() if value}
    rows = [pb.PregenerationCount(outcome=value, count=value, tokens=2, engine_ms=5) for value in names]
    newer = pb.PregenerationCount(outcome=99, count=1)  # type: ignore[arg-type]

    async def script(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.send(generation_started=pb.GenerationStarted(seq=submit.seq))
        ledger = pb.Ledger(
            adopted_engine_ms=5, wasted_engine_ms=25.5, answer_engine_ms=100, pregeneration_outcomes=[*rows, newer]
        )
        await wire.send(generation_finished=pb.GenerationFinished(seq=submit.seq, ledger=ledger))
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        answer = await session.submit("Show me all")
        await answer.text()
    ledger = answer.report.ledger
    assert (ledger.adopted_engine_ms, ledger.wasted_engine_ms, ledger.answer_engine_ms) == (5, 25.5, 100)
    assert ledger.pregeneration_outcomes == (
        *(
            PregenerationCount(PregenerationOutcome[name.removeprefix("PREGENERATION_OUTCOME_")], value, 2, 5)
            for value, name in names.items()
        ),
        PregenerationCount(PregenerationOutcome.UNKNOWN, 1, 0, 0),
    )


async def test_a_report_says_if_the_engine_made_the_prompt() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.send(generation_started=pb.GenerationStarted(seq=submit.seq, prompt_by_engine=True))
        await wire.send(generation_finished=pb.GenerationFinished(seq=submit.seq, reason=pb.FINISH_REASON_STOP))
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        answer = await session.submit("Show me all")
        assert [delta async for delta in answer] == []
        assert answer.report.prompt_by_engine


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


async def test_a_turn_has_the_name_of_who_speaks_in_the_drafts_and_can_be_asked_again() -> None:
    submitted: list[str] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        assert wire.opening.draft_name == "Ann"
        for answer in ("Three.", "Four."):
            submit = await wire.until("submit")
            submitted.append(submit.submit.text)
            await wire.answer(submit.seq, answer)
        await drain(wire)

    async with connected(script) as client, client.session(draft_name="Ann") as session:
        await (await session.submit("How many?")).text()
        asked = ChatMessage("user", "How many?", name="Ann")
        assert session.messages == (asked, ChatMessage("assistant", "Three."))
        await (await session.regenerate()).text()
        assert session.messages == (asked, ChatMessage("assistant", "Four."))
    assert submitted == ["How many?", "How many?"]
