"""A server that is watched while it answers nonsense: it is doubted, put down, and no task of ours ends by it."""

import asyncio
from typing import Any

import pytest
from forefill_service.engine.http import monitor
from forefill_service.engine.http.vllm_metrics import parse_metrics
from forefill_service.errors import EngineError, EngineNonsense

from tests.support.fake_vllm import FakeVllm
from tests.support.remote_engine import remote_engine
from tests.support.remote_requests import answer, request

NONSENSE = {"choices": [{"text": ["zyzzyva"]}]}


async def test_an_answer_that_makes_no_sense_puts_the_server_in_doubt(server: FakeVllm) -> None:
    async with remote_engine(server, probe_seconds=1000) as engine:
        watch = asyncio.create_task(engine.watch())
        server.faults.twist = lambda _: NONSENSE
        with pytest.raises(EngineNonsense):
            await answer(engine, request())
        asked = len(server.bodies)
        await server.until(lambda: len(server.bodies) > asked)  # the probe
        assert server.bodies[-1]["max_tokens"] == 1
        watch.cancel()


async def test_one_whose_probe_makes_no_sense_is_down_until_it_does(
    server: FakeVllm, caplog: pytest.LogCaptureFixture
) -> None:
    async with remote_engine(server) as engine:
        server.faults.twist, server.faults.twists_all = (lambda _: NONSENSE), True
        await engine.monitor.probe()
        assert not engine.up
        assert "is down (the engine's answer is none of vLLM's" in caplog.text
        assert "zyzzyva" not in caplog.text
        server.faults.twist = None
        await engine.monitor.probe()
        assert engine.up


CARDS = [
    b"zyzzyva",
    b"7",
    b"[]",
    b'{"data": 7}',
    b'{"data": [7]}',
    b'{"data": [{}]}',
    b'{"data": [{"id": 7}]}',
    b'{"data": [{"id": "fake", "max_model_len": "zyzzyva"}]}',
    b'{"data": [{"id": "fake", "max_model_len": NaN}]}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("said", CARDS)
async def test_one_that_comes_back_with_a_list_that_cannot_be_stays_down(
    server: FakeVllm, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    caplog.set_level("DEBUG", logger="forefill_service")
    async with remote_engine(server) as engine:
        server.faults.status = 500
        await engine.monitor.probe()
        server.faults.status, server.faults.says = None, {"/v1/models": said}
        await engine.monitor.probe()
        assert not engine.up
        with pytest.raises(EngineError):
            await engine.client.cards()
        server.faults.says = {}
        await engine.monitor.probe()
        assert engine.up
    assert "zyzzyva" not in caplog.text


RUNNING = "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running "
CACHE = "# TYPE vllm:cache_config_info gauge\nvllm:cache_config_info"


@pytest.mark.parametrize(
    "said",
    [
        *(RUNNING + value for value in ("NaN", "+Inf", "-Inf", "-1", "1e308", "zyzzyva", "")),
        "vllm:num_requests_running{",
        'vllm:num_requests_running{engine="0" 1',
        "vllm:num_requests_running{} 1 2 3 4",
        CACHE + '{block_size="\u00b2",num_gpu_blocks="zyzzyva"} 1',
        CACHE + '{block_size="' + "9" * 5000 + '"} 1',
        CACHE + '{block_size="-1",num_gpu_blocks="0"} 1',
        CACHE + "{} 1",
        RUNNING + "1\n" * 3000,
        "\ud800",
        "\x00" * 1000,
    ],
)
async def test_metrics_that_cannot_be_are_passed_over(server: FakeVllm, said: str) -> None:
    async with remote_engine(server) as engine:
        server.faults.says = {"/metrics": said.encode(errors="surrogatepass")}
        for _ in range(2):
            await engine.monitor.read_metrics()
        load = engine.load
        assert (load.running, load.waiting, load.cache_usage, load.preemptions) == (0, 0, 0, 0)
        await engine.monitor.probe()
        assert engine.up


def test_labels_that_are_no_counts_count_for_nothing() -> None:
    def snapshot(labels: str) -> Any:
        return parse_metrics(CACHE + f"{{{labels}}} 1\n")

    assert (snapshot('block_size="32"').block_size, snapshot('num_gpu_blocks="9"').cache_blocks) == (32, 9)
    for label in ("\u00b2", "\u0661", "0", "-1", "1.0", "", "9" * 30, "None"):
        assert snapshot(f'block_size="{label}",num_gpu_blocks="{label}"').block_size is None
        assert snapshot(f'block_size="{label}",num_gpu_blocks="{label}"').cache_blocks is None


def test_more_metrics_than_any_server_has_are_not_parsed() -> None:
    with pytest.raises(ValueError, match="too many"):
        parse_metrics("vllm:num_requests_running 1\n" * 3000)


def test_a_cache_is_never_more_than_full() -> None:
    assert parse_metrics("vllm:kv_cache_usage_perc 7.5\n").cache_usage == 1.0


async def test_watching_goes_on_whatever_the_server_says(server: FakeVllm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "LOOK_SECONDS", 0.01)
    async with remote_engine(server, probe_seconds=0.01) as engine:
        watch = asyncio.create_task(engine.watch())
        server.faults.says = {"/metrics": b"vllm:num_requests_running NaN\n", "/v1/models": b"zyzzyva"}
        server.faults.twist, server.faults.twists_all = (lambda _: b"data: zyzzyva\n\n"), True
        asked = len(server.bodies)
        await server.until(lambda: len(server.bodies) > asked + 2)
        assert not watch.done()
        server.faults.twist, server.faults.says = None, {}
        await server.until(lambda: engine.up)
        watch.cancel()
