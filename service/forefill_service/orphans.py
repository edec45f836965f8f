"""vLLM's processes end with the server, however that ends: after `kill -9` no engine runs on and holds its memory.

Each of them watches the server's process, and kills itself as soon as that is gone. Where processes are spawned, vLLM
loads this as a plugin; where they are forked, the fork calls it. In any other process it does nothing. It stands apart
since every vLLM of the environment loads it, with a server or without.
"""

import os
import signal
import threading
from functools import cache
from pathlib import Path
from select import poll

SERVER = "_FOREFILL_SERVER_PROCESS"
"""The environment variable that tells vLLM's processes whom they work for: its process id, and when it started."""


def claim_children() -> None:
    """Have the processes of vLLM that are started from now on end with this one."""
    _watch_in_forked_children()
    os.environ[SERVER] = f"{os.getpid()} {_started_at(os.getpid())}"


@cache
def _watch_in_forked_children() -> None:
    os.register_at_fork(after_in_child=end_with_the_server)


def end_with_the_server() -> None:
    """Have this process killed when the server's ends. It is a plugin of vLLM's: see pyproject.toml."""
    pid, _, started_at = os.environ.get(SERVER, "").partition(" ")
    if not pid or int(pid) == os.getpid():
        return
    try:
        server = os.pidfd_open(int(pid))
    except ProcessLookupError:
        _end()
        return
    except (AttributeError, OSError):  # another system than Linux, or an old one
        return
    now = _started_at(int(pid))
    if now and started_at and now != started_at:  # another process has its number by now
        _end()
    threading.Thread(target=_watch, args=(server,), name="forefill-server-watch", daemon=True).start()


def _started_at(pid: int) -> str:
    """Return when a process started, in ticks since the machine did; "" if that is not known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _watch(server: int) -> None:
    gone = poll()
    gone.register(server)
    gone.poll()
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
