"""Traces as a collector gets them: whose they are, what they name, and what becomes of them if nobody takes them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import forefill_service.fleet
import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_service.cli import main
from forefill_service.engine import FakeEngine
from forefill_service.fleet.otel import CLOSE_SECONDS
from forefill_service.server import running_server

from tests.support.collector import Collector, attributes, collector
from tests.support.fake_vllm import fake_vllm
from tests.support.remote_engine import remote_engine
from tests.support.served import SETTINGS, TEXT, Served, changed, served
from tests.support.wire import GREEDY, Typist, typing_at

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ERROR = 2
"""OpenTelemetry's status code."""


@asynccontextmanager
async def traced(engine: FakeEngine | None = None, **flags: Any) -> AsyncIterator[tuple[Served, Collector]]:
    """Serve with traces; all of them have arrived after `begins_to_stop`."""
    async with (
        collector() as collected,
        served(engine, changed(SETTINGS, otlp_endpoint=collected.url, **flags)) as server,
    ):
        yield server, collected


async def test_a_stream_is_a_span_with_one_inside_for_each_turn() -> None:
    async with traced() as (server, collected):
        async with typing_at(server.address, [("system", TEXT)], session_key="Zyzzyva") as typist:
            for text in ("First question ", "Second question "):
                await typist.type(text)
                await typist.flush()
                await typist.submit()
            await typist.end()
        engine_requests = [request.request_id for request in server.engine.requests if request.request_id]
        await server.begins_to_stop()
    [stream] = collected.named("forefill.stream")
    turns = collected.named("forefill.turn")
    assert [turn.parent_span_id for turn in turns] == [stream.span_id] * 2
    assert {turn.trace_id for turn in turns} == {stream.trace_id}
    assert [[event.name for event in turn.events] for turn in turns] == [["submit", "first token"]] * 2
    assert [attributes(turn)["source"] for turn in turns] == ["warm", "warm"]
    assert attributes(stream).items() >= {"end": "ended", "flushes": 2, "answers": 2, "events": 8}.items()
    named = [request for turn in turns for request in attributes(turn)["engine_requests"]]
    assert set(named) <= set(engine_requests)
    assert all(attributes(turn)["engine_requests"] for turn in turns)
    assert len(named) >= 3, "an answer of each turn, and a warm"
    for turn in turns:
        assert stream.start_time_unix_nano <= turn.start_time_unix_nano <= turn.events[0].time_unix_nano


async def test_a_stream_belongs_to_the_trace_that_its_client_names() -> None:
    async with traced() as (server, collected):
        async with grpc.aio.insecure_channel(server.address) as channel:
            metadata = (("traceparent", f"00-{TRACE}-{CALLER}-01"), ("tracestate", "vendor=1"))
            typist = Typist(KeystrokeServiceStub(channel).Compose(metadata=metadata))
            await typist.call.write(pb.ComposeRequest(open=pb.Open(sampling=GREEDY)))
            await typist.read()
            await typist.submit(TEXT)
            await typist.end()
        await server.begins_to_stop()
    [stream], [turn] = collected.named("forefill.stream"), collected.named("forefill.turn")
    assert (stream.trace_id.hex(), stream.parent_span_id.hex()) == (TRACE, CALLER)
    assert turn.trace_id.hex() == TRACE


async def test_a_trace_that_makes_no_sense_is_ignored() -> None:
    async with traced() as (server, collected):
        async with grpc.aio.insecure_channel(server.address) as channel:
            typist = Typist(KeystrokeServiceStub(channel).Compose(metadata=(("traceparent", "00-zz-zz-01"),)))
            await typist.call.write(pb.ComposeRequest(open=pb.Open(sampling=GREEDY)))
            await typist.read()
            await typist.end()
        await server.begins_to_stop()
    [stream] = collected.named("forefill.stream")
    assert stream.parent_span_id == b""


async def test_a_stream_that_is_refused_ends_with_the_reason() -> None:
    async with traced() as (server, collected):
        async with grpc.aio.insecure_channel(server.address) as channel:
            typist = Typist(KeystrokeServiceStub(channel).Compose())
            await typist.event(char_add=pb.CharAdd(text="Zyzzyva"))
            assert await typist.call.code() is grpc.StatusCode.FAILED_PRECONDITION
        await server.begins_to_stop()
    [stream] = collected.named("forefill.stream")
    assert (stream.status.code, stream.status.message) == (ERROR, "not_open")
    assert b"Zyzzyva" not in collected.raw


async def test_keys_alone_leave_one_span_however_many_they_are() -> None:
    async with traced() as (server, collected):
        async with typing_at(server.address) as typist:
            for _ in range(200):
                await typist.type("a")
            await typist.flush()
            await typist.end()
        await server.begins_to_stop()
    assert len(collected.spans) == 2, "the stream's and the turn's"
    assert sum(len(span.events) for span in collected.spans) == 0


async def test_a_vllm_server_is_told_the_id_of_a_request() -> None:
    async with fake_vllm() as server, remote_engine(server) as engine, collector() as collected:
        settings = changed(SETTINGS, otlp_endpoint=collected.url)
        async with running_server([engine], settings) as running, typing_at(running.address) as typist:
            await typist.submit(TEXT)
            await typist.end()
        asked = {headers.get("X-Request-ID") for headers in (*server.headers, *server.chat_headers)}
    [turn] = collected.named("forefill.turn")
    assert attributes(turn)["engine_requests"]
    assert set(attributes(turn)["engine_requests"]) <= asked


# --- if nobody takes them


async def test_a_collector_that_never_answers_holds_nobody_up() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    hole = await asyncio.start_server(swallow, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{hole.sockets[0].getsockname()[1]}"
    async with hole, served(settings=changed(SETTINGS, otlp_endpoint=url)) as server:
        async with typing_at(server.address) as typist:
            await typist.submit(TEXT)
            await typist.end()
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        await server.begins_to_stop()
        assert loop.time() - began_at < 5 * CLOSE_SECONDS


async def test_a_collector_that_is_away_does_no_harm() -> None:
    settings = changed(SETTINGS, otlp_endpoint="http://127.0.0.1:9")
    async with served(settings=settings) as server, typing_at(server.address) as typist:
        await typist.submit(TEXT)
        await typist.end()


# --- if they are not asked for, or not installed


def test_without_a_collector_opentelemetry_is_not_imported() -> None:
    program = """
import asyncio, sys
from forefill_service.engine import FakeEngine
from forefill_service.server import running_server
from forefill_service.settings import Settings

async def serve():
    async with running_server([FakeEngine()], Settings(port=0, metrics_port=-1, health_port=-1)):
        pass

asyncio.run(serve())
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_without_opentelemetry_the_flag_is_refused_in_one_line_before_the_engine_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "forefill_service.fleet.otel")
    monkeypatch.delattr(forefill_service.fleet, "otel")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("forefill_service.cli.configure", lambda *_: None)
    monkeypatch.setattr("forefill_service.cli.report_failures", lambda: None)
    monkeypatch.setattr("forefill_service.cli.start_engines", None)
    assert main(["--engine", "fake", "--otlp-endpoint", "http://127.0.0.1:4318"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("forefill-server: --otlp-endpoint needs OpenTelemetry")
    assert "install forefill with its extra 'traces'" in line
