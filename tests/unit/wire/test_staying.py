"""Sessions that may not stay: of callers who have left, too silent, or too old."""

import asyncio
from pathlib import Path

import grpc
import pytest
from forefill_client import AsyncClient, NotAuthenticated, Resume
from forefill_service.wire import open_sessions

from tests.support.callers import KEY, OTHER, callers_file, refusal, served_to, typing_with, with_key
from tests.support.served import SETTINGS, TEXT, changed, ended_by, served, until
from tests.support.wire import error_reason


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have sessions looked at often."""
    monkeypatch.setattr(open_sessions, "LOOK_SECONDS", 0.01)


@pytest.mark.usefixtures("quick_looks")
async def test_the_session_of_a_key_that_is_withdrawn_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_sessions, "CHECK_SECONDS", 0.02)
    entries = with_key("key"), with_key("other", "other")
    async with (
        served_to(tmp_path, *entries) as (_, channel),
        typing_with(channel, KEY) as typist,
        typing_with(channel, OTHER) as staying,
    ):
        await typist.type(TEXT)
        callers_file(tmp_path, with_key("other", "other"))
        error = await ended_by(typist)
        assert (error.code(), error_reason(error)) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")
        await staying.type(TEXT)
        assert (await staying.submit()).text


@pytest.mark.usefixtures("quick_looks")
async def test_the_session_of_a_key_that_expires_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served_to(tmp_path, with_key("key", rest="expires = 2100-01-01T00:00:00Z")) as (server, channel):
        async with typing_with(channel, KEY) as typist:
            await typist.type(TEXT)
            monkeypatch.setattr(server.running.servicer.open_sessions.gate, "now", lambda: 4102444801.0)
            assert error_reason(await ended_by(typist)) == "CREDENTIALS_EXPIRED"
        assert (await refusal(channel, KEY))[1] == "CREDENTIALS_EXPIRED", "and it opens no other"


@pytest.mark.usefixtures("quick_looks")
async def test_a_session_that_says_nothing_ends_and_goes_on_when_its_user_does() -> None:
    async with (
        served(settings=changed(SETTINGS, session_idle_seconds=0.2)) as server,
        AsyncClient.connect(server.address, resume=Resume(first_delay_seconds=0.001)) as client,
        client.session() as session,
    ):
        await session.type("Show me ")
        await until(lambda: server.running.servicer.streams == 0)
        await asyncio.sleep(0.05)
        assert not server.running.servicer.streams, "nobody uses it, so it is not opened again"
        await session.type("all of them")
        assert await (await session.submit()).text()
        assert session.messages[-2].content == "Show me all of them"


@pytest.mark.usefixtures("quick_looks")
async def test_a_session_that_is_too_old_is_told_to_go_and_then_ends() -> None:
    settings = changed(SETTINGS, session_age_seconds=0.1, go_away_seconds=0.1)
    async with (
        served(settings=settings) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        typing_with(channel) as typist,
    ):
        assert (await typist.read()).HasField("go_away")
        error = await ended_by(typist)
        assert (error.code(), error_reason(error)) == (grpc.StatusCode.UNAVAILABLE, "SESSION_TOO_OLD")


@pytest.mark.usefixtures("quick_looks")
async def test_the_user_of_a_session_that_is_too_old_notices_nothing() -> None:
    settings = changed(SETTINGS, session_age_seconds=0.1, go_away_seconds=0.2)
    async with (
        served(settings=settings) as server,
        AsyncClient.connect(server.address, resume=Resume(first_delay_seconds=0.001)) as client,
        client.session() as session,
    ):
        for word in ("Show ", "me ", "all ", "of ", "them"):
            await session.type(word)
            await asyncio.sleep(0.1)
        assert await (await session.submit()).text()
        assert session.messages[-2].content == "Show me all of them"


@pytest.mark.usefixtures("quick_looks")
async def test_a_running_answer_is_not_idle() -> None:
    async with (
        served(settings=changed(SETTINGS, session_idle_seconds=0.1)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        typing_with(channel) as typist,
    ):
        server.gate.held = True
        await typist.send_submit(TEXT)
        await asyncio.sleep(0.4)
        server.gate.open()
        assert (await typist.answer()).text


@pytest.mark.usefixtures("quick_looks")
async def test_the_sdk_goes_on_with_the_next_key_and_ends_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_sessions, "CHECK_SECONDS", 0.02)
    key = "old"
    async with (
        served_to(tmp_path, with_key("old")) as (server, _),
        AsyncClient.connect(server.address, api_key=lambda: key) as client,
        client.session() as session,
        AsyncClient.connect(server.address, api_key="old") as same,
        same.session() as ending,
    ):
        await session.type("Show me ")
        key = "new"
        callers_file(tmp_path, with_key("new"))
        await ending.wait_closed()
        with pytest.raises(NotAuthenticated):
            await ending.type("all")
        await session.type("all")
        assert await (await session.submit()).text()
        assert session.messages[-2].content == "Show me all"
