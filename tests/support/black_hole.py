"""A network that swallows every packet between a server and its clients, in a network namespace each.

Run it in a new one, as root: `unshare --net python -m tests.support.black_hole FLAGS OF THE SERVER`. It prints after
how many seconds the server was rid of its clients.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.client_process import client_process
from tests.support.metrics_page import seconds_until
from tests.support.server_process import server_process

UNSHARE = ["unshare", "--net"]
SERVER, CLIENTS = "10.77.0.1", "10.77.0.2"


def possible() -> bool:
    """Whether this machine and this user can do that."""
    if not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        return False
    return subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode == 0


def _ip(*arguments: str, inside: Sequence[str] = ()) -> None:
    subprocess.run([*inside, "ip", *arguments], check=True)


@contextmanager
def wire() -> Iterator[Sequence[str]]:
    """Lay a wire into a second namespace; yield what runs a command there."""
    other = subprocess.Popen([*UNSHARE, "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE)
    inside = ("nsenter", "--net", f"--target={other.pid}")
    try:
        assert other.stdout is not None
        other.stdout.readline()  # it is in its namespace by now
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "name", "ours", "type", "veth", "peer", "name", "theirs")
        _ip("link", "set", "theirs", "netns", str(other.pid))
        _ip("address", "add", f"{SERVER}/24", "dev", "ours")
        _ip("link", "set", "ours", "up")
        _ip("address", "add", f"{CLIENTS}/24", "dev", "theirs", inside=inside)
        _ip("link", "set", "theirs", "up", inside=inside)
        yield inside
    finally:
        other.kill()
        other.wait()


async def seconds_to_notice(flags: Sequence[str]) -> float:
    """Serve clients over the wire, cut it, and return how long it took the server to end their streams."""
    os.environ["no_grpc_proxy"] = SERVER  # noqa: SIM112 - this is how gRPC spells it
    with wire() as inside:
        async with server_process("--host", SERVER, "--insecure", *flags) as server:
            await server.listening()
            page = await server.metrics_address()
            async with client_process(server.address, typing=3, reading=3, run_by=inside):
                await seconds_until(page, "forefill_sessions", 6)
                _ip("link", "set", "theirs", "down", inside=inside)
                return await seconds_until(page, "forefill_sessions", 0)


if __name__ == "__main__":
    print(asyncio.run(seconds_to_notice(sys.argv[1:])))
