"""A server that is watched: whether it is up, whether it came back as it was, and how much it has to do."""

import asyncio
from typing import Any

import pytest
from forefill_service.errors import EngineUnavailable

from tests.support.fake_vllm import WAIT_SECONDS, FakeVllm
from tests.support.remote_engine import remote_engine
from tests.support.remote_requests import BLOCK, answer, request, restarted


@pytest.mark.parametrize("moving", ["tokens", "running"])
async def test_a_server_that_works_for_others_is_busy_not_hung(server: FakeVllm, moving: str) -> None:
    async with remote_engine(server, probe_timeout_seconds=0.4) as engine:
        watch = asyncio.create_task(engine.watch())
        server.faults.stall_after = 0  # our probe gets no turn
        server.moving = moving
        await engine.monitor.probe()
        assert engine.up
        watch.cancel()


@pytest.mark.parametrize("status", [401, 404])
async def test_a_server_that_does_not_take_our_requests_is_down_however_much_it_does_for_others(
    server: FakeVllm, status: int
) -> None:
    async with remote_engine(server) as engine:
        server.faults.status = status
        with pytest.raises(EngineUnavailable):
            await answer(engine, request())
        engine.monitor.heard()
        await engine.monitor.probe()
        assert not engine.up


async def test_a_dead_worker_behind_a_router_does_not_take_the_others_down(server: FakeVllm) -> None:
    now = 0.0
    async with remote_engine(server, clock=lambda: now, router=True, probe_seconds=5) as engine:
        server.faults.status = 502
        await engine.monitor.probe()
        await engine.monitor.probe()
        assert engine.up
        now += 5.1  # a silence longer than it takes to become suspicious
        await engine.monitor.probe()
        assert not engine.up
    keys = [headers["X-Session-ID"] for headers in server.headers]
    assert len(set(keys)) == len(keys), "each probe asks for another worker"


async def test_one_that_is_down_is_not_asked(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.faults.status = 500
        await engine.monitor.probe()
        asked = len(server.bodies)
        with pytest.raises(EngineUnavailable, match="is down"):
            await answer(engine, request())
        assert len(server.bodies) == asked


async def test_one_that_comes_back_has_lost_its_cache(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        port = server.port
        await server.stop()
        await engine.monitor.probe()
        assert not engine.up
        await server.start(port)
        await engine.monitor.probe()
        assert engine.up
        await restarted(engine)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"model": "other"}, "does not serve fake"),
        ({"context_tokens": 100}, "context is 100 tokens"),
        ({"block_size": 2 * BLOCK}, f"blocks have {2 * BLOCK} tokens, not {BLOCK}"),
        ({"renders": [1, 2, 3]}, "other token ids"),
    ],
)
async def test_one_that_comes_back_as_another_is_not_used(
    server: FakeVllm, caplog: pytest.LogCaptureFixture, told: dict[str, Any], says: str
) -> None:
    async with remote_engine(server) as engine:
        server.faults.status = 500
        await engine.monitor.probe()
        server.faults.status = None
        before = {name: getattr(server, name) for name in told}
        for name, value in told.items():
            setattr(server, name, value)
        await engine.monitor.probe()
        await engine.monitor.probe()
        assert not engine.up
        assert len([line for line in caplog.messages if says in line]) == 1, "said once"
        for name, value in before.items():
            setattr(server, name, value)
        await engine.monitor.probe()
        assert engine.up


async def test_probes_do_not_wait_for_metrics_that_hang(server: FakeVllm) -> None:
    async with remote_engine(server, probe_timeout_seconds=10 * WAIT_SECONDS) as engine:
        server.faults.metrics_hang = True
        asked = len(server.bodies)
        watch = asyncio.create_task(engine.watch())
        await server.until(lambda: len(server.bodies) > asked + 1)
        assert engine.up
        watch.cancel()


async def test_without_metrics_it_is_watched_by_probes_alone(server: FakeVllm) -> None:
    server.faults.tells_metrics = False
    async with remote_engine(server) as engine:
        watch = asyncio.create_task(engine.watch())
        await server.until(lambda: len(server.bodies) > 2)
        assert engine.up
        watch.cancel()


async def test_its_load_is_what_its_metrics_tell(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.running = 3
        await engine.monitor.read_metrics()
        assert engine.load.running == 3


async def test_others_are_who_runs_there_but_for_our_own(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.faults.stall_after = 1
        reader = asyncio.create_task(answer(engine, request()))
        await server.until(lambda: len(server.engine.requests) == 2)
        server.running = 3
        await engine.monitor.read_metrics()
        assert engine.load.others == 2
        reader.cancel()


async def test_who_runs_behind_a_router_is_not_known(server: FakeVllm) -> None:
    async with remote_engine(server, router=True) as engine:
        assert engine.load.others is None
