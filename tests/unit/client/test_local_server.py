"""A server of one's own: started, waited for, ended, and its log kept where it failed."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from forefill_client import ForefillError
from forefill_client.local_server import local_server


@pytest.fixture(autouse=True)
def _logs_go_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def ignore(_: float) -> None:
    pass


SAYS_AND_WAITS = """
import signal, sys
print("some banner", flush=True)
print("a log line", file=sys.stderr, flush=True)
print("forefill-server listening on 127.0.0.1:4711", flush=True)
signal.pause()
"""


async def test_a_server_of_our_own_is_waited_for_and_ended_and_leaves_no_log(tmp_path: Path) -> None:
    async with local_server(ignore, command=[sys.executable, "-c", SAYS_AND_WAITS]) as address:
        assert address == "127.0.0.1:4711"
        (log,) = tmp_path.iterdir()
        assert log.read_text() == "a log line\n"
    assert not list(tmp_path.iterdir())


async def test_a_server_that_does_not_start_says_why_and_keeps_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('forefill-server: no such model: x')"]
    with pytest.raises(ForefillError, match="did not start: forefill-server: no such model: x") as caught:
        async with local_server(ignore, command=command):
            raise AssertionError("not reached")
    (log,) = tmp_path.iterdir()
    assert caught.value.__notes__ == [f"the server's log: {log}"]


async def test_a_server_that_never_listens_is_given_up_and_ended() -> None:
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    with pytest.raises(ForefillError, match="did not listen within 0 s"):
        async with local_server(ignore, command=command, start_timeout_seconds=0):
            raise AssertionError("not reached")


IGNORES_SIGTERM = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(f"forefill-server listening on {child.pid}", flush=True)
signal.pause()
"""


@contextmanager
def ended(pid: str) -> Iterator[asyncio.Event]:
    """Watch a process that is not a child of ours; yield what is set once it has ended."""
    descriptor, event = os.pidfd_open(int(pid)), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, event.set)
    try:
        yield event
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def test_a_server_that_does_not_stop_is_killed_with_what_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forefill_client.local_server.STOP_TIMEOUT_SECONDS", 0)
    with ExitStack() as watching:
        async with local_server(ignore, command=[sys.executable, "-c", IGNORES_SIGTERM]) as child_pid:
            child_ended = watching.enter_context(ended(child_pid))
            assert not child_ended.is_set()
        await child_ended.wait()


async def test_who_is_cancelled_while_the_server_stops_leaves_nothing_behind() -> None:
    stops = asyncio.Event()
    with ExitStack() as watching:

        async def use() -> asyncio.Event:
            async with local_server(ignore, command=[sys.executable, "-c", IGNORES_SIGTERM]) as child_pid:
                child_ended.append(watching.enter_context(ended(child_pid)))
                stops.set()
                raise RuntimeError

        child_ended: list[asyncio.Event] = []
        task = asyncio.create_task(use())
        await stops.wait()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await child_ended[0].wait()
