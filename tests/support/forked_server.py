"""`forefill-server` as a process that starts at once: for tests that end many of them.

A new interpreter needs most of its start to import the service. Here multiprocessing's fork server imports it once, and
each server is a fork of that process, in which the program's own command line runs. That is sound, since gRPC starts no
thread when it is imported, only with its first object. tests/e2e/test_server_process.py tests the program as it is run.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection

from forefill_service.cli import main

LISTENING = "forefill-server listening on "
START_SECONDS = 60
"""No start takes long; one that hangs fails."""

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([main.__module__, "forefill_service.server"])


class ForkedServer:
    """A server process with these flags. It ends with the test's process, however that ends."""

    def __init__(self, *flags: str) -> None:
        self._output, output = _forks.Pipe(duplex=False)
        self._process = _forks.Process(target=_serve, args=(flags, output), daemon=True)
        self._process.start()
        output.close()

    async def listening(self) -> str:
        """Wait until it listens, and return where."""
        async with asyncio.timeout(START_SECONDS):
            said = await asyncio.to_thread(self._read_line)
        if not said.startswith(LISTENING):
            raise AssertionError(f"the server did not start: {said}")
        return said.removeprefix(LISTENING).rstrip()

    def terminate(self) -> None:
        """Have it stop, as an operator does: SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once: SIGKILL."""
        self._process.kill()

    async def ended(self) -> tuple[int, str]:
        """Wait for its end, and return its exit status, or minus the signal's number, and what it has said since."""
        said = await asyncio.to_thread(self._read_rest)
        # Not in the thread: two threads that ask for the status of one process could take it from each other.
        self._process.join()
        self._output.close()
        assert self._process.exitcode is not None
        return self._process.exitcode, said

    def _read_line(self) -> str:
        said = b""
        while not said.endswith(b"\n") and (character := os.read(self._output.fileno(), 1)):
            said += character
        return said.decode()

    def _read_rest(self) -> str:
        return b"".join(iter(lambda: os.read(self._output.fileno(), 65536), b"")).decode()


def _serve(flags: tuple[str, ...], output: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for standard in (1, 2):
        os.dup2(output.fileno(), standard)
    output.close()
    sys.exit(main(list(flags)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
