"""What a vLLM server tells of itself."""

import pytest
from forefill_service.engine import FakeChat
from forefill_service.engine.http import discovery
from forefill_service.engine.http.discovery import _MEASURED_AT, block_size_of, discover
from forefill_service.engine.http.endpoint import Endpoint
from forefill_service.engine.http.served_chat import ServedChat
from forefill_service.engine.http.vllm_metrics import parse_metrics

from tests.support.fake_vllm import fake_vllm
from tests.support.remote_engine import remote_settings

METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 4.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.5
# TYPE vllm:num_preemptions counter
vllm:num_preemptions_total{engine="0",model_name="m"} 3.0
# TYPE vllm:prompt_tokens counter
vllm:prompt_tokens_total{engine="0",model_name="m"} 100.0
# TYPE vllm:generation_tokens counter
vllm:generation_tokens_total{engine="0",model_name="m"} 20.0
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="32",enable_prefix_caching="True",engine="0",num_gpu_blocks="1424"} 1.0
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.7e+09
"""


@pytest.mark.parametrize("size", [1, 8, 16, 32, 48, 64, 128, 256, 512, 528])
def test_the_block_size_is_what_explains_all_that_was_found(size: int) -> None:
    assert block_size_of({leading: leading - leading % size for leading in _MEASURED_AT}) == size


@pytest.mark.parametrize("found", [{}, dict.fromkeys(_MEASURED_AT, 0), {1023: 1000, 767: 767}])
def test_what_is_cached_in_no_whole_blocks_has_no_block_size(found: dict[int, int]) -> None:
    assert block_size_of(found) is None


def test_metrics_tell_the_load_of_all_engines_of_a_server_together() -> None:
    load = parse_metrics(METRICS).load
    assert (load.running, load.waiting, load.cache_usage, load.preemptions) == (3, 4, 0.5, 3)


def test_metrics_tell_how_the_cache_is_set_up_and_how_much_was_done() -> None:
    reading = parse_metrics(METRICS)
    assert (reading.block_size, reading.cache_blocks) == (32, 1424)
    assert reading.tokens == 120
    assert reading.started_at == 1.7e9


def test_metrics_of_something_else_tell_nothing() -> None:
    reading = parse_metrics("# TYPE other gauge\nother 1.0\n")
    assert reading.cache == {}
    assert reading.block_size is None
    assert parse_metrics("<html>no metrics</html>").cache == {}
    with pytest.raises(ValueError, match=r".*"):
        parse_metrics("vllm:num_requests_running{ broken")


def test_metrics_tell_of_one_engine_of_a_server_alone() -> None:
    reading = parse_metrics(METRICS, rank=1)
    assert (reading.running, reading.waiting, reading.cache_usage, reading.tokens) == (1, 0, 0.5, 0)
    assert reading.started_at == 1.7e9


@pytest.mark.parametrize("tells_zero", [True, False])
async def test_a_server_that_tells_what_it_found_cached_is_known_by_a_prompt_that_is(
    monkeypatch: pytest.MonkeyPatch, *, tells_zero: bool
) -> None:
    async def chat(*_: object) -> ServedChat:
        return ServedChat(FakeChat())

    monkeypatch.setattr(discovery, "served_chat", chat)
    async with fake_vllm(block_size=48) as server:
        server.faults.tells_zero = tells_zero
        endpoint = Endpoint(server.url)
        served = await discover(endpoint, remote_settings(server.url, router=True))
        assert served.reports_cached_tokens
        assert served.info.block_size == 48, "measured"
        server.faults.tells_cached = False
        assert not (await discover(endpoint, remote_settings(server.url, block_size=48))).reports_cached_tokens
        await endpoint.close()
