"""`forefill-server` from the outside: how it starts, what it serves, how it stops, and what it says where it cannot."""

import asyncio
import signal
import socket
from typing import Any

import grpc
import httpx
import psutil  # type: ignore[import-untyped]
import pytest
from forefill.v1 import keystroke_pb2 as pb
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.server_process import server_process
from tests.support.wire import error_reason, retry_seconds, typing_at

SERVICE = "forefill.v1.KeystrokeService"
FAKE = ("--engine", "fake")

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_it_says_where_it_listens_and_answers_there() -> None:
    async with server_process(*FAKE) as server:
        line = await server.listening()
        async with typing_at(server.address, [("system", "Be brief.")]) as typist:
            await typist.type("Hello there, ")
            await typist.flush()
            answer = await typist.submit()
            await typist.end()
    assert line == f"forefill-server listening on {server.address}"
    assert server.address.startswith("127.0.0.1:")
    assert answer.finished.reason == pb.FINISH_REASON_LENGTH


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_open_streams_and_the_server_cleanly(number: signal.Signals) -> None:
    async with server_process(*FAKE) as server:
        await server.listening()
        async with typing_at(server.address) as typist:
            await typist.type("Not yet ")
            await typist.flush()
            server.send(number)
            assert (await typist.read()).HasField("go_away")
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await typist.read()
        status, stderr = await server.ended()
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert error_reason(raised.value) == "SERVER_STOPPING"
    assert retry_seconds(raised.value) >= 1
    assert status == 0
    assert "Traceback" not in "".join(stderr)


async def test_health_is_serving() -> None:
    async with server_process(*FAKE) as server:
        await server.listening()
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            for service in ("", SERVICE):
                response = await stub.Check(health_pb2.HealthCheckRequest(service=service))
                assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_describes_the_service() -> None:
    def described(address: str) -> tuple[set[str], set[str]]:
        with grpc.insecure_channel(address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            file = database.FindFileContainingSymbol(SERVICE)
            return set(database.get_services()), {method.name for method in file.service[0].method}

    async with server_process(*FAKE) as server:
        await server.listening()
        services, methods = await asyncio.to_thread(described, server.address)
    assert {SERVICE, "grpc.health.v1.Health"} <= services
    assert methods == {"Compose"}


async def test_metrics_count_what_was_served() -> None:
    async with server_process(*FAKE) as server:
        await server.listening()
        async with typing_at(server.address) as typist:
            await typist.submit("Hello")
            await typist.end()
        async with httpx.AsyncClient() as client:
            page = (await client.get(f"http://{await server.metrics_address()}/metrics")).text
    samples = dict(line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("forefill_"))
    assert samples["forefill_sessions"] == "0.0"
    assert samples['forefill_generations_total{source="cold"}'] == "1.0"


@pytest.mark.parametrize("flag", ["--port", "--metrics-port"])
async def test_a_port_in_use_is_told_in_one_line(flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with server_process(*FAKE, flag, str(port), "--log-level", "error") as server:
            status, stderr = await server.ended()
    assert status == 1
    [line] = stderr
    assert line.startswith("forefill-server: cannot listen on ")
    assert str(port) in line
    assert flag in line


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--no-such-flag"], "--no-such-flag"),
        (["--port", "70000"], "--port"),
        (["--port", "many"], "--port"),
        (["--engine", "none"], "--engine"),
        (["--max-sessions", "0"], "--max-sessions"),
        (["--chat-template", "/no/such/file"], "--chat-template"),
        (["--engine-args", "{x"], "--engine-args"),
    ],
)
async def test_a_bad_flag_is_told_in_one_line(flags: list[str], named: str) -> None:
    async with server_process(*FAKE, *flags) as server:
        status, stderr = await server.ended()
    assert status == 2
    [line] = stderr
    assert named in line
    assert "--help" in line


async def test_a_bad_setting_of_the_environment_is_told_in_one_line() -> None:
    async with server_process(*FAKE, FOREFILL_MAX_SESSIONS="0") as server:
        status, stderr = await server.ended()
    assert status == 2
    [line] = stderr
    assert "max-sessions" in line


@pytest.mark.vllm
@pytest.mark.parametrize(
    ("flags", "cause"),
    [
        (["--model", "/no/such/dir"], "/no/such/dir"),
        (["--model", "no/such-name"], "no/such-name"),
        (["--cache-gib", "100000"], "memory"),
    ],
    ids=["no directory", "no name", "no memory"],
)
async def test_an_engine_that_cannot_start_is_told_in_one_line(flags: list[str], cause: str) -> None:
    async with server_process(*flags, "--log-level", "error", HF_HUB_OFFLINE="1") as server:
        status, stderr = await server.ended()
    assert status == 1
    [line] = [line for line in stderr if "forefill-server" in line]
    assert line == stderr[-1]
    assert line.startswith("forefill-server: the engine did not start with ")
    assert cause in line
    assert "Traceback" not in "".join(stderr)


@pytest.mark.vllm
async def test_a_server_that_is_killed_leaves_no_engine_behind() -> None:
    async with server_process() as server:
        await server.listening()
        children = psutil.Process(server.pid).children(recursive=True)
        assert any("EngineCore" in " ".join(child.cmdline()) for child in children)
        async with typing_at(server.address, sampling=pb.Sampling(max_tokens=400, ignore_eos=True)) as typist:
            await typist.send_submit("Count to a thousand.")
            assert (await typist.read()).HasField("generation_started")
            server.send(signal.SIGKILL)
            await server.ended()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive
