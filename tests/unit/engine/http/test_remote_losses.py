"""Answers over HTTP that do not come, or do not come to their end: each is an error, in time."""

import asyncio

import pytest
from forefill_service.engine import Output
from forefill_service.engine.http import RemoteEngine
from forefill_service.errors import EngineBusy, EngineRefused, EngineUnavailable

from tests.support.fake_vllm import WAIT_SECONDS, FakeVllm
from tests.support.remote_engine import remote_engine
from tests.support.remote_requests import answer, request, restarted


async def read_into(came: list[Output], engine: RemoteEngine) -> None:
    async for output in engine.generate(request()):
        came.append(output)


@pytest.mark.parametrize(("status", "error"), [(503, EngineBusy), (500, EngineUnavailable), (400, EngineRefused)])
async def test_a_status_is_the_error_that_it_stands_for(server: FakeVllm, status: int, error: type[Exception]) -> None:
    async with remote_engine(server) as engine:
        server.faults.status, server.faults.words = status, "zyzzyva"
        with pytest.raises(error) as failed:
            await answer(engine, request())
    assert "zyzzyva" not in str(failed.value)


@pytest.mark.parametrize("parts", [0, 1, 5])
async def test_a_stream_that_is_cut_is_a_loss_however_well_it_closes(server: FakeVllm, parts: int) -> None:
    async with remote_engine(server) as engine:
        server.faults.cut_after = parts
        came: list[Output] = []
        with pytest.raises(EngineUnavailable, match="before it was complete"):
            await read_into(came, engine)
    assert len(came) == parts


async def test_a_server_that_is_gone_is_down_at_once(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        assert engine.up
        await server.stop()
        with pytest.raises(EngineUnavailable, match="broke"):  # on a connection that was kept
            await answer(engine, request())
        with pytest.raises(EngineUnavailable, match="no connection"):
            await answer(engine, request())
        assert not engine.up


async def test_a_server_that_says_nothing_is_given_up_in_time(server: FakeVllm) -> None:
    async with remote_engine(server, first_token_timeout_seconds=0.2) as engine:
        server.faults.flowing.clear()
        with pytest.raises(EngineUnavailable, match=r"within 0\.2 s"):
            await answer(engine, request())


async def test_so_is_one_that_falls_silent_in_mid_answer(server: FakeVllm) -> None:
    async with remote_engine(server, token_timeout_seconds=0.2) as engine:
        server.faults.stall_after = 2
        came: list[Output] = []
        with pytest.raises(EngineUnavailable, match=r"within 0\.2 s"):
            await read_into(came, engine)
    assert len(came) == 2


async def test_a_hung_server_is_found_out_and_those_who_wait_are_told(server: FakeVllm) -> None:
    async with remote_engine(server, probe_timeout_seconds=0.5) as engine:
        watch = asyncio.create_task(engine.watch())
        server.faults.flowing.clear()
        with pytest.raises(EngineUnavailable):
            async with asyncio.timeout(WAIT_SECONDS):
                await answer(engine, request())
        assert not engine.up
        server.faults.flowing.set()
        await restarted(engine)
        assert engine.up
        watch.cancel()


async def test_who_waits_for_a_server_that_cannot_be_reached_any_more_is_told(
    server: FakeVllm, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", logger="forefill_service.engine.http.monitor")
    async with remote_engine(server, probe_timeout_seconds=0.5) as engine:
        server.faults.stall_after = 1
        reader = asyncio.create_task(answer(engine, request()))
        await server.until(lambda: len(server.engine.requests) == 2)
        engine.monitor.pulse.refused()  # another request found no connection, and this one's never breaks
        server.faults.flowing.clear()
        for _ in range(2):
            await engine.monitor.probe()
        with pytest.raises(EngineUnavailable, match="does not answer"):
            await reader
        assert len([line for line in caplog.messages if "is down" in line]) == 1, "said once"


async def test_an_answer_that_still_comes_from_a_server_that_takes_no_more_is_not_cut_off(server: FakeVllm) -> None:
    async with remote_engine(server, probe_timeout_seconds=WAIT_SECONDS) as engine:
        server.faults.stall_after = 1
        reader = asyncio.create_task(answer(engine, request()))
        await server.until(lambda: len(server.engine.requests) == 2)
        server.faults.status = 500
        await engine.monitor.probe()
        assert not engine.up
        await asyncio.sleep(0)
        assert not reader.done()
        reader.cancel()
