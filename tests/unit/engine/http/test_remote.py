"""vLLM over HTTP: what is sent, what comes back, and everything that can go wrong in between."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import trustme
from forefill_service.cache.blocks import CacheChange
from forefill_service.chat.generation import Sampling
from forefill_service.engine import FakeEngine, Output, Priority, Request, warm
from forefill_service.engine.http import RemoteEngine
from forefill_service.engine.http.endpoint import Endpoint
from forefill_service.engine.http.patience import Patience
from forefill_service.errors import EngineBusy, EngineRefused, EngineUnavailable

from tests.support.fake_vllm import WAIT_SECONDS, FakeVllm, fake_vllm
from tests.support.openai_endpoint import openai_endpoint
from tests.support.remote_engine import remote_engine, remote_settings

BLOCK = 16
PROMPT = list(range(1, 2 * BLOCK + 6))


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with fake_vllm(block_size=BLOCK, answer_tokens=6) as server:
        yield server


def request(**fields: Any) -> Request:
    return Request(**{"prompt_ids": PROMPT, "sampling": Sampling(), "priority": Priority.GENERATION, **fields})


async def answer(engine: RemoteEngine, asked: Request) -> list[Output]:
    return [output async for output in engine.generate(asked)]


async def read_into(came: list[Output], engine: RemoteEngine) -> None:
    async for output in engine.generate(request()):
        came.append(output)


async def restarted(engine: RemoteEngine) -> None:
    """Wait until the engine reports an empty cache: its server has come back."""
    async with asyncio.timeout(WAIT_SECONDS), aclosing(engine.cache_changes()) as changes:
        assert await anext(changes) == CacheChange(cleared=True)


async def test_an_answer_over_http_is_the_engines_own(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        outputs = await answer(engine, request())
    plain = [output async for output in server.engine.generate(request())]
    assert "".join(output.text for output in outputs) == "".join(output.text for output in plain)
    assert [output.token_ids for output in outputs] == [output.token_ids for output in plain]
    assert outputs[-1].finish_reason == plain[-1].finish_reason == "stop"


async def test_what_was_found_cached_comes_with_the_last_part(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        assert await warm(engine, PROMPT[: 2 * BLOCK]) == 0
        outputs = await answer(engine, request())
    assert [output.cached_tokens for output in outputs] == [None] * 5 + [2 * BLOCK]


async def test_the_whole_room_is_asked_for_where_the_caller_sets_no_limit(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        await answer(engine, request())
        await answer(engine, request(sampling=Sampling(max_tokens=3)))
    room = server.engine.info.context_tokens - len(PROMPT)
    assert [asked["max_tokens"] for asked in server.bodies[1:]] == [room, 3]


async def test_the_route_goes_to_the_router_as_a_hash(server: FakeVllm) -> None:
    async with remote_engine(server, affinity_header="X-Key") as engine:
        for route in ("tenant/anna", "tenant/anna", "tenant/bert", ""):
            await answer(engine, request(route=route))
    keys = [headers.get("X-Key") for headers in server.headers[1:]]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] is None
    assert "anna" not in str(server.headers)


async def test_an_applications_own_request_carries_what_ours_carry(server: FakeVllm) -> None:
    async with remote_engine(server, affinity_header="X-Key") as one:
        engine = RemoteEngine(one.client.endpoint, one.client.served, remote_settings(server.url), rank=3)
        async for _ in engine.client.outputs(request(route="anna"), 1):
            pass
        told = engine.openai_headers("anna")
        assert told == {name: server.headers[-1][name] for name in ("X-Session-ID", "X-data-parallel-rank")}
        assert told["X-data-parallel-rank"] == "3"
        assert one.openai_headers("") == {}


async def test_a_prompt_that_leaves_no_room_is_not_even_sent(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        with pytest.raises(EngineRefused):
            await answer(engine, request(prompt_ids=[1] * engine.info.context_tokens))
    assert len(server.bodies) == 1


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


async def test_giving_up_an_answer_aborts_it_on_the_server() -> None:
    async with fake_vllm(block_size=BLOCK) as server, remote_engine(server) as engine:
        server.faults.stall_after = 1
        reader = asyncio.create_task(answer(engine, request()))
        await server.until(lambda: len(server.engine.requests) == 2)
        reader.cancel()
        await server.until(lambda: server.engine.aborted == 1)


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


@pytest.mark.parametrize("moving", ["tokens", "running"])
async def test_a_server_that_works_for_others_is_busy_not_hung(server: FakeVllm, moving: str) -> None:
    async with remote_engine(server, probe_timeout_seconds=0.4) as engine:
        watch = asyncio.create_task(engine.watch())
        server.faults.stall_after = 0  # our probe gets no turn
        server.moving = moving
        await engine.monitor.probe()
        assert engine.up
        watch.cancel()


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


async def test_a_count_of_nothing_may_be_left_out_by_a_server_that_tells(server: FakeVllm) -> None:
    server.faults.tells_zero = False
    async with remote_engine(server) as engine:
        assert await warm(engine, PROMPT) == 0
        assert await warm(engine, PROMPT) == len(PROMPT) // BLOCK * BLOCK
    server.faults.tells_cached = False
    async with remote_engine(server) as engine:
        assert await warm(engine, PROMPT) is None


async def test_probes_do_not_wait_for_metrics_that_hang(server: FakeVllm) -> None:
    async with remote_engine(server, probe_timeout_seconds=10 * WAIT_SECONDS) as engine:
        server.faults.metrics_hang = True
        asked = len(server.bodies)
        watch = asyncio.create_task(engine.watch())
        await server.until(lambda: len(server.bodies) > asked + 1)
        assert engine.up
        watch.cancel()


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


async def test_one_that_is_down_is_not_asked(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.faults.status = 500
        await engine.monitor.probe()
        asked = len(server.bodies)
        with pytest.raises(EngineUnavailable, match="is down"):
            await answer(engine, request())
        assert len(server.bodies) == asked


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


async def test_neither_cookies_nor_other_places_are_followed(server: FakeVllm) -> None:
    endpoint = Endpoint(server.url)
    for _ in range(2):
        with pytest.raises(EngineRefused):
            await endpoint.text("/moved", WAIT_SECONDS)
    assert server.cookies == [{}, {}]
    await endpoint.close()


async def test_its_load_is_what_its_metrics_tell(server: FakeVllm) -> None:
    async with remote_engine(server) as engine:
        server.running = 3
        await engine.monitor.read_metrics()
        assert engine.load.running == 3


async def test_without_metrics_it_is_watched_by_probes_alone(server: FakeVllm) -> None:
    server.faults.tells_metrics = False
    async with remote_engine(server) as engine:
        watch = asyncio.create_task(engine.watch())
        await server.until(lambda: len(server.bodies) > 2)
        assert engine.up
        watch.cancel()


async def test_certificates_of_ones_own_are_trusted_where_they_are_named_and_nowhere_else(tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = FakeVllm(FakeEngine())
    await server.start(tls=tls)
    trusting = Endpoint(server.url, ca_file=str(tmp_path / "ca.pem"), api_key="s3cret")
    wary = Endpoint(server.url)
    try:
        assert (await trusting.json("/v1/models", WAIT_SECONDS))["data"][0]["id"] == "fake"
        with pytest.raises(EngineUnavailable, match="no connection"):
            await wary.json("/v1/models", WAIT_SECONDS)
    finally:
        await trusting.close()
        await wary.close()
        await server.stop()


async def test_the_api_key_goes_with_every_request_and_into_no_message(server: FakeVllm) -> None:
    endpoint = Endpoint(server.url, api_key="s3cret", headers={"X-More": "1"})
    patience = Patience(WAIT_SECONDS, WAIT_SECONDS)
    lines = endpoint.lines("/v1/completions", {"prompt": PROMPT, "max_tokens": 1}, {}, patience)
    assert [line async for line in lines][-1] == b""
    assert server.headers[-1]["Authorization"] == "Bearer s3cret"
    assert server.headers[-1]["X-More"] == "1"
    server.faults.status = 401
    with pytest.raises(EngineRefused, match="FOREFILL_ENGINE_API_KEY") as refused:
        await endpoint.text("/v1/completions", WAIT_SECONDS, {"prompt": PROMPT, "max_tokens": 1})
    assert "s3cret" not in str(refused.value)
    await endpoint.close()


async def test_an_event_longer_than_the_buffer_of_aiohttp_is_read_whole() -> None:
    async with openai_endpoint() as canned:
        canned.events = [{"prompt_token_ids": [12345] * 2**18}]
        endpoint = Endpoint(canned.url)
        patience = Patience(WAIT_SECONDS, WAIT_SECONDS)
        lines = [line async for line in endpoint.lines("/v1/completions", {}, {}, patience, 2**22)]
        await endpoint.close()
    assert lines[0] == f"data: {json.dumps(canned.events[0])}".encode()
    assert lines[2] == b"data: [DONE]"


async def test_priorities_are_left_out_where_the_server_has_none(server: FakeVllm) -> None:
    server.faults.priorities = False
    async with remote_engine(server) as engine:
        await warm(engine, PROMPT)
    assert "priority" not in server.bodies[-1]
