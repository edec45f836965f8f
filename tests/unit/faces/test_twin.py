"""What an answer would have waited without forefill: two more answers, which find cached what they should."""

from dataclasses import replace

import pytest
from forefill_chat.twin import NotMeasured, Twin, measure
from forefill_client import AsyncClient, EmptySubmit, FlushOutcome, FlushResult, Sampling, Session
from forefill_client.testing import FakeServer

SYSTEM = ("system", "one two three four five six seven eight nine ten " * 40)
QUESTION = "Which patients were seen last week?"


async def measured_after_forefill_has_cached_all(times: int = 1) -> list[Twin]:
    async with FakeServer() as server, AsyncClient.connect(server.address) as client:
        async with client.session([SYSTEM]) as session:
            await session.type(QUESTION)
            await session.flushed(await session.flush())
            answer = await session.submit(QUESTION)
            await answer.text()
            assert answer.report.cached_tokens > 0
        return [await measure(client, [SYSTEM], QUESTION, Sampling(max_tokens=20, min_tokens=2)) for _ in range(times)]


async def test_the_cold_twin_finds_nothing_and_the_static_one_the_conversation() -> None:
    [twin] = await measured_after_forefill_has_cached_all()
    assert twin.cold.cached_tokens == 0
    assert twin.static.cached_tokens > 0
    assert twin.cold.seconds > 0 < twin.static.seconds


async def test_a_second_measurement_is_as_cold_as_the_first() -> None:
    first, second = await measured_after_forefill_has_cached_all(times=2)
    assert second.cold.cached_tokens == first.cold.cached_tokens == 0
    assert second.static.cached_tokens == first.static.cached_tokens


async def test_what_cannot_be_asked_raises_as_in_a_session() -> None:
    async with FakeServer() as server, AsyncClient.connect(server.address) as client:
        with pytest.raises(EmptySubmit):
            await measure(client, [SYSTEM], "")


async def test_an_engine_that_is_too_busy_to_cache_the_conversation_is_not_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flushed = Session.flushed

    async def shed(session: Session, seq: int) -> FlushResult:
        return replace(await flushed(session, seq), outcome=FlushOutcome.SHED)

    monkeypatch.setattr(Session, "flushed", shed)
    monkeypatch.setattr("forefill_chat.twin.SECONDS_BETWEEN", 0.0)
    async with FakeServer() as server, AsyncClient.connect(server.address) as client:
        with pytest.raises(NotMeasured):
            await measure(client, [SYSTEM], QUESTION)
