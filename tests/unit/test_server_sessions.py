"""A whole server in this process: the things that its sessions share."""

import asyncio
import sys
import threading
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_service.engine import FakeEngine

from tests.support.served import SETTINGS, SYSTEM, TEXT, Aborted, Context, changed, ended_by, served, until
from tests.support.wire import Typist, error_reason, typing_at


async def test_where_prefix_caching_is_off_everything_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(
        "WARNING", logger="forefill_service.fleet.supervisor"
    )  # whatever level others have set on the root
    async with served(FakeEngine(cache_blocks=0)) as server, typing_at(server.address, [SYSTEM]) as typist:
        reason = typist.opened.warming_inert_reason
        assert "prefix caching is off" in reason
        assert [record.levelname for record in caplog.records if reason in record.getMessage()] == ["WARNING"]
        assert server.sample("warming_inert", replica="fake") == 1
        await typist.type(TEXT)
        assert (await typist.flush()).outcome == pb.FLUSH_OUTCOME_INERT
        assert (await typist.submit()).started.source == pb.GENERATION_SOURCE_COLD
        in_this_scope = [request for request in server.engine.requests if request.cache_salt is None]
        assert len(in_this_scope) == 1, "the answer's; the self-test's have salts of their own"


async def test_two_sessions_of_one_scope_share_blocks_and_a_third_of_its_own_does_not() -> None:
    async with served() as server:
        cached = []
        for scope in (pb.CACHE_SCOPE_SHARED, pb.CACHE_SCOPE_SHARED, pb.CACHE_SCOPE_SESSION):
            async with typing_at(server.address, [SYSTEM], warm_mode=pb.WARM_MODE_OFF, cache_scope=scope) as typist:
                cached.append((await typist.submit(TEXT)).cached_tokens)
        assert cached[0] == cached[2] == 0
        assert cached[1] > 0


@pytest.mark.parametrize(("scope", "shares"), [("shared", True), ("session", False)])
async def test_whether_sessions_share_blocks_is_the_operators_choice_unless_the_client_says(
    scope: str, shares: bool
) -> None:
    async with served(settings=changed(SETTINGS, cache_scope=scope)) as server:
        found = []
        for said in (None, None, pb.CACHE_SCOPE_SHARED, pb.CACHE_SCOPE_SHARED, pb.CACHE_SCOPE_SESSION):
            async with typing_at(server.address, [SYSTEM], warm_mode=pb.WARM_MODE_OFF, cache_scope=said) as typist:
                found.append((await typist.submit(TEXT)).cached_tokens > 0)
        assert found == [False, shares, shares, True, False]


async def test_a_client_that_does_not_read_is_ended_and_the_others_go_on() -> None:
    engine = FakeEngine(context_tokens=10**6, answer_tokens=20_000)
    settings = changed(SETTINGS, write_timeout_seconds=0.2)
    small_windows = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16384)]
    async with (
        served(engine, settings) as server,
        grpc.aio.insecure_channel(server.address, small_windows) as channel,
    ):
        slow = Typist(KeystrokeServiceStub(channel).Compose())
        await slow.call.write(pb.ComposeRequest(open=pb.Open()))
        await slow.read()
        await slow.send_submit(TEXT)
        async with typing_at(server.address, [SYSTEM]) as typist:
            await typist.type(TEXT)
            assert (await typist.flush()).outcome == pb.FLUSH_OUTCOME_WARMED
            await until(lambda: server.sample("errors_total", reason="client_too_slow"))
            assert (await typist.submit()).finished.usage.completion_tokens == 1
        assert engine.aborted == 1
        error = await ended_by(slow)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error_reason(error) == "CLIENT_TOO_SLOW"


async def test_a_client_that_goes_away_in_an_answer_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with served(FakeEngine(context_tokens=10**6, answer_tokens=10**5)) as server:
        for _ in range(5):
            async with typing_at(server.address, sampling=pb.Sampling()) as typist:
                await typist.send_submit(TEXT)
                for _ in range(5):
                    await typist.read()
        await until(lambda: not server.running.servicer.streams)
        assert server.engine.aborted == 5
        assert server.sample("sessions") == 0
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "WARNING")] == []


async def test_a_write_to_a_client_that_is_gone_is_an_abort(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as server:
        context: Any = Context()
        with pytest.raises(Aborted):
            await server.running.servicer.Compose(context, context)
        assert context.code is grpc.StatusCode.CANCELLED
    assert "a session failed" not in caplog.text


async def test_a_read_from_a_client_that_is_gone_is_an_abort_even_when_grpc_has_stopped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as server:
        context: Any = GoneContext()
        with pytest.raises(Aborted):
            await server.running.servicer.Compose(context, context)
        assert context.reads == 2
        assert context.code is grpc.StatusCode.CANCELLED
    assert "a session failed" not in caplog.text


class OpenContext(Context):
    """The server's end of a stream whose client opens and idles."""

    async def write(self, message: object) -> None:
        pass


class GoneContext(OpenContext):
    """The server's end of a stream whose client opens and is gone, in a server that gRPC has stopped by then."""

    async def read(self) -> bytes:
        if self.reads:
            self.reads += 1
            raise grpc.aio.BaseError  # gRPC raises one of these that it does not export
        return await super().read()


async def test_an_idle_stream_does_not_keep_the_request_that_opened_it() -> None:
    async with served() as server:
        context: Any = OpenContext()
        before = sys.getrefcount(context.opening)
        stream = asyncio.create_task(server.running.servicer.Compose(context, context))
        await until(lambda: context.reads == 2)
        now = sys.getrefcount(context.opening)
        assert now == before
        stream.cancel()
        await asyncio.wait({stream})


async def test_a_stream_that_does_not_open_in_time_is_ended_and_leaves_its_place() -> None:
    settings = changed(SETTINGS, open_timeout_seconds=0.01)
    async with served(settings=settings) as server, grpc.aio.insecure_channel(server.address) as channel:
        error = await ended_by(Typist(KeystrokeServiceStub(channel).Compose()))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error_reason(error) == "NOT_OPEN"
        assert "0.01 s" in (error.details() or "")
        await until(lambda: not server.running.servicer.streams)


async def test_many_sessions_leave_nothing_behind() -> None:
    async with served() as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: Any = KeystrokeServiceStub(channel)

        async def session(number: int) -> None:
            typist = Typist(stub.Compose())
            await typist.call.write(pb.ComposeRequest(open=pb.Open(draft=TEXT)))
            await typist.read()
            typist.draft = TEXT
            await typist.send_flush()
            match number % 4:
                case 0:
                    await typist.flush()
                    await typist.end()
                case 1:
                    await typist.submit(TEXT)
                    await typist.end()
                case 2:
                    await typist.send_submit(TEXT)
                    typist.call.cancel()
                case 3:
                    await typist.call.done_writing()
                    await ended_by(typist)

        await session(0)
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        for _ in range(10):
            await asyncio.gather(*map(session, range(50)))
        await until(lambda: not server.running.servicer.streams and len(asyncio.all_tasks()) <= tasks)
        assert server.running.servicer.sessions == 0
        assert server.sample("sessions") == 0
        assert threading.active_count() <= threads + 8, "the renderer's few threads and gRPC's own"


async def test_a_defect_is_logged_by_its_place_and_not_by_its_words(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as server, typing_at(server.address) as typist:

        def broken(request: object) -> None:
            raise ValueError(typed)

        typed = "Zyzzyva is my password"
        server.engine.generate = broken  # type: ignore[method-assign,assignment]
        await typist.send_submit(typed)
        assert error_reason(await ended_by(typist)) == "INTERNAL"
    assert "in _stream" in caplog.text
    assert typed not in caplog.text


class Panic(BaseException):
    """What a tokenizer in Rust raises: no Exception."""


async def test_a_panic_of_the_tokenizer_ends_its_own_session_alone() -> None:
    async with served() as server, typing_at(server.address) as typist:

        def panics(text: str) -> list[int]:
            raise Panic

        encode = server.engine.chat.encode
        server.engine.chat.encode = panics  # type: ignore[method-assign]
        await typist.send_submit(TEXT)
        assert error_reason(await ended_by(typist)) == "INTERNAL"
        server.engine.chat.encode = encode  # type: ignore[method-assign]
        async with typing_at(server.address) as other:
            assert (await other.submit(TEXT)).finished.usage.completion_tokens == 1
