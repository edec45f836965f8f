"""The page of metrics as Prometheus, and as others than Prometheus, ask for it."""

import asyncio
import threading

import aiohttp
import grpc
import pytest
from forefill_service.engine import FakeEngine
from forefill_service.fleet.metric_table import TABLE
from forefill_service.listeners import metrics_port
from forefill_service.listeners.metrics_port import MOST_CONNECTIONS, MetricsPage
from forefill_service.server import ListenError, running_server
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from tests.support.served import SETTINGS, TEXT, Served, changed, ended_by, served, until
from tests.support.wire import typing_at

WITH_METRICS = changed(SETTINGS, metrics_port=0, max_sessions=2)


async def get(address: str, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
    async with aiohttp.request(method, f"http://{address}{path}") as response:
        return response.status, await response.text()


async def scraped(server: Served) -> dict[str, float]:
    """Return all samples, by name and labels as they are written."""
    _, page = await get(server.running.metrics_address)
    return {
        " ".join([sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


# --- what it says


async def test_a_scrape_has_every_metric_and_counts_a_session() -> None:
    async with served(settings=WITH_METRICS) as server:
        async with typing_at(server.address, [("system", TEXT)]) as typist:
            await typist.type(TEXT)
            await typist.flush()
            during = await scraped(server)
            await typist.submit()
            await typist.end()
        await until(lambda: not server.running.servicer.streams)
        after = await scraped(server)
    assert (during["forefill_streams"], during["forefill_sessions"]) == (1, 1)
    assert (after["forefill_streams"], after["forefill_sessions"]) == (0, 0)
    assert after["forefill_stream_ends_total reason=ended"] == 1
    assert after["forefill_events_total kind=char_add"] == 1
    assert after["forefill_events_total kind=submit"] == 1
    assert after["forefill_flushes_total outcome=warmed"] == 1
    assert after["forefill_warms_total outcome=computed"] >= 1
    admitted = after["forefill_admissions_total outcome=admitted work=warm"]
    assert admitted == after["forefill_warms_total outcome=computed"]
    assert after["forefill_admission_wait_seconds_count work=warm"] >= admitted
    assert after["forefill_ttft_seconds_count source=warm"] == 1
    assert after["forefill_warm_tokens_total row=used"] > 0
    assert after["forefill_engine_state replica=fake state=up"] == 1
    names = {name.split()[0] for name in after}
    for metric in TABLE:
        assert any(name.startswith(f"forefill_{metric.name}") for name in names), metric.name


async def test_whatever_clients_do_the_series_are_the_same() -> None:
    async with served(settings=WITH_METRICS) as server:
        before = set(await scraped(server))
        async with typing_at(server.address, session_key="a" * 50) as typist:
            await typist.event()
            assert (await typist.read()).HasField("session_error")
            await typist.submit(TEXT)
            await typist.end()
        async with typing_at(server.address) as gone:
            await gone.type(TEXT)
        await until(lambda: not server.running.servicer.streams)
        assert set(await scraped(server)) == before


async def test_streams_are_counted_by_how_they_end() -> None:
    async with served(settings=WITH_METRICS) as server:
        async with typing_at(server.address), typing_at(server.address):
            with pytest.raises(grpc.aio.AioRpcError, match="full"):
                async with typing_at(server.address):
                    pass
        await until(lambda: not server.running.servicer.streams)
        ends = await scraped(server)
    assert ends["forefill_stream_ends_total reason=too_many_sessions"] == 1
    assert ends["forefill_stream_ends_total reason=cancelled"] == 2, "their clients went away, or froze"
    assert ends["forefill_streams"] == 0


async def test_streams_that_the_stop_ends_are_counted_so() -> None:
    async with served(settings=WITH_METRICS) as server, typing_at(server.address) as typist:
        await server.begins_to_stop()
        await ended_by(typist)
        assert server.sample("stream_ends_total", reason="server_stopping") == 1


async def test_there_is_nothing_beside_the_page() -> None:
    async with served(settings=WITH_METRICS) as server:
        address = server.running.metrics_address
        assert (await get(address, "/"))[0] == 404
        assert (await get(address, method="POST"))[0] == 405
        assert await get(address, method="HEAD") == (200, "")


# --- who asks


async def test_clients_that_ask_half_a_question_are_few_and_keep_nobody_out() -> None:
    async with served(settings=WITH_METRICS) as server:
        host, port = server.running.metrics_address.split(":")
        threads = threading.active_count()
        asked = []
        for _ in range(MOST_CONNECTIONS + 10):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /metrics HTTP/1.1\r\nHost:")
            asked.append((reader, writer))
        assert (await get(server.running.metrics_address))[0] == 200
        assert threading.active_count() <= threads + 1, "aiohttp's client may resolve a name"
        for reader, _ in asked[:10]:
            assert await is_cut(reader)
        for _, writer in asked:
            writer.close()


async def test_half_a_question_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_port, "CONNECTION_SECONDS", 0.05)
    async with served(settings=WITH_METRICS) as server:
        host, port = server.running.metrics_address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HT")
        assert await is_cut(reader)


async def test_a_connection_is_for_one_question() -> None:
    async with served(settings=WITH_METRICS) as server:
        host, port = server.running.metrics_address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def test_a_client_that_is_connected_does_not_hold_up_the_stop() -> None:
    async with served(settings=WITH_METRICS) as server:
        host, port = server.running.metrics_address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HT")
        await server.begins_to_stop()
        assert await is_cut(reader)
        writer.close()


async def test_many_that_ask_at_once_get_one_page_and_those_that_ask_later_another() -> None:
    registry = CollectorRegistry()
    made = Gauge("made", "How often it was read.", registry=registry)
    made.set_function(iter(range(1, 100)).__next__)
    page = MetricsPage(registry)
    first = await asyncio.gather(*(page.next() for _ in range(50)))
    assert set(first) == {first[0]}
    assert b"made 1.0" in first[0]
    assert b"made 2.0" in await page.next()


async def test_one_that_leaves_does_not_take_the_page_from_others() -> None:
    page = MetricsPage(CollectorRegistry())
    leaves, stays = asyncio.ensure_future(page.next()), asyncio.ensure_future(page.next())
    leaves.cancel()
    assert isinstance(await stays, bytes)


async def test_a_metric_that_cannot_be_read_fails_its_page_alone() -> None:
    registry = CollectorRegistry()
    broken = Gauge("broken", "It fails.", registry=registry)
    broken.set_function(lambda: 1 / 0)
    page = MetricsPage(registry)
    with pytest.raises(ZeroDivisionError):
        await page.next()
    broken.set_function(lambda: 1)
    assert b"broken 1.0" in await page.next()


async def test_a_port_in_use_is_said_in_one_line() -> None:
    async with served(settings=WITH_METRICS) as server:
        taken = changed(SETTINGS, metrics_port=int(server.running.metrics_address.rpartition(":")[2]))
        with pytest.raises(ListenError, match=r"for metrics; choose another with --metrics-port"):
            async with running_server([FakeEngine()], taken):
                pass


async def is_cut(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True
