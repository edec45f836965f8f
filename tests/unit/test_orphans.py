"""Processes that belong to a server end with it, and no others."""

import os
import signal
import subprocess
import sys
from select import poll

import pytest
from forefill_service.orphans import SERVER, end_with_the_server

CHILD = """
import time
from forefill_service.orphans import end_with_the_server
end_with_the_server()
print("watches", flush=True)
time.sleep(600)
"""
PARENT = f"""
import subprocess, sys, time
from forefill_service.orphans import claim_children
claim_children()
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""
MOST_MS = 30_000


FORKING_PARENT = """
import os, time
from forefill_service.orphans import claim_children
claim_children()
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("program", [PARENT, FORKING_PARENT], ids=["spawned", "forked"])
def test_a_child_ends_with_a_server_that_is_killed(program: str) -> None:
    inherited = {**os.environ, SERVER: f"{os.getpid()} 1"}  # as of a server that another one has started
    server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=inherited)
    assert server.stdout is not None
    gone = poll()
    child = os.pidfd_open(int(server.stdout.readline()))
    gone.register(child)
    assert gone.poll(100) == []
    server.kill()
    server.wait()
    server.stdout.close()
    assert gone.poll(MOST_MS), "it ends though nobody tells it to"
    os.close(child)


@pytest.mark.parametrize("claim", [f"{2**22 - 1} 1", f"{os.getpid()} 1"], ids=["nobody", "another by that number"])
def test_who_starts_after_the_server_has_ended_does_not_go_on(claim: str) -> None:
    child = subprocess.run([sys.executable, "-c", CHILD], env={**os.environ, SERVER: claim}, timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize("claim", ["", f"{os.getpid()} 1"], ids=["nobody's", "the server itself"])
def test_other_processes_are_left_alone(monkeypatch: pytest.MonkeyPatch, claim: str) -> None:
    monkeypatch.setenv(SERVER, claim)
    end_with_the_server()
