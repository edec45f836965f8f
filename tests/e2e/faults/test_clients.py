"""Clients that die, freeze, vanish or do not read: how soon the server is rid of them, and what they cost others."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import grpc
import psutil  # type: ignore[import-untyped]
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub

from tests.support import black_hole
from tests.support.bad_network import bad_network
from tests.support.client_process import client_process
from tests.support.metrics_page import metrics, seconds_until
from tests.support.served import ended_by
from tests.support.server_process import server_process
from tests.support.wire import Typist, error_reason, typing_at

if TYPE_CHECKING:
    from .conftest import Figure

pytestmark = pytest.mark.asyncio(loop_scope="session")

SLOW_ANSWERS = ("--engine", "fake", "--fake-answer-tokens", "100000", "--fake-decode-speed", "50")
MUCH_TO_READ = ("--engine", "fake", "--fake-answer-tokens", "8000")
NOTICED_SOON = ("--silent-client-seconds", "4")
SESSIONS = "forefill_sessions"


async def works(address: str) -> None:
    """Check that a newcomer is served."""
    async with typing_at(address, sampling=pb.Sampling(temperature=0, max_tokens=3)) as typist:
        await typist.type("Is it so? ")
        await typist.flush()
        assert (await typist.submit()).finished.usage.completion_tokens == 3
        await typist.end()


@pytest.mark.parametrize(("typing", "reading"), [(20, 0), (0, 20)], ids=["typing", "reading an answer"])
async def test_clients_that_are_killed(typing: int, reading: int, figure: Figure) -> None:
    async with server_process(*SLOW_ANSWERS) as server:
        await server.listening()
        page, files = await server.metrics_address(), psutil.Process(server.pid).num_fds()
        async with client_process(server.address, typing=typing, reading=reading) as client:
            assert (await metrics(page))[SESSIONS] == 20
            client.kill()
            figure("noticed", f"{await seconds_until(page, SESSIONS, 0):.2f} s")
        await works(server.address)
        assert psutil.Process(server.pid).num_fds() <= files + 2


@pytest.mark.parametrize(("typing", "reading"), [(5, 0), (0, 5)], ids=["typing", "reading an answer"])
async def test_clients_that_freeze(typing: int, reading: int, figure: Figure) -> None:
    async with server_process(*SLOW_ANSWERS, *NOTICED_SOON) as server:
        await server.listening()
        page = await server.metrics_address()
        async with client_process(server.address, typing=typing, reading=reading) as client:
            client.send_signal(signal.SIGSTOP)
            figure("noticed, of 4 s that are allowed", f"{await seconds_until(page, SESSIONS, 0):.2f} s")
            await works(server.address)


async def test_a_network_that_swallows_everything(figure: Figure) -> None:
    async with server_process(*SLOW_ANSWERS, *NOTICED_SOON) as server:
        await server.listening()
        page = await server.metrics_address()
        async with (
            bad_network(server.address) as network,
            typing_at(network.address) as typing,
            typing_at(network.address, sampling=pb.Sampling(temperature=0)) as reading,
        ):
            await reading.send_submit("Count to a million.")
            while not (await reading.read()).HasField("generation_delta"):
                pass
            await typing.type("Show me ")
            network.stalls()
            figure("noticed, of 4 s that are allowed", f"{await seconds_until(page, SESSIONS, 0):.2f} s")
            await works(server.address)


@pytest.mark.skipif(not black_hole.possible(), reason="network namespaces need root, unshare, nsenter and ip")
async def test_a_wire_that_is_cut(figure: Figure) -> None:
    process = await asyncio.create_subprocess_exec(
        *(*black_hole.UNSHARE, sys.executable, "-m", black_hole.__name__, *SLOW_ANSWERS, *NOTICED_SOON),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    figure("noticed, of 4 s that are allowed", f"{float(said):.2f} s")


async def test_a_client_that_does_not_read_is_ended_and_costs_the_others_nothing(figure: Figure) -> None:
    small_window = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024)]
    async with server_process(*MUCH_TO_READ, "--write-timeout-seconds", "1") as server, AsyncExitStack() as stack:
        await server.listening()
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address, small_window))
        stuck = [Typist(KeystrokeServiceStub(channel).Compose()) for _ in range(5)]
        for typist in stuck:
            await typist.call.write(pb.ComposeRequest(open=pb.Open()))
            await typist.read()
        began = time.monotonic()
        for typist in stuck:
            await typist.send_submit("Say all that you know.")
        await works(server.address)
        page = await server.metrics_address()
        await seconds_until(page, 'forefill_errors_total{reason="client_too_slow"}', len(stuck))
        figure("ended, of 1 s that a message may wait", f"{time.monotonic() - began:.2f} s")
        for error in await asyncio.gather(*map(ended_by, stuck)):
            assert (error.code(), error_reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "CLIENT_TOO_SLOW")
