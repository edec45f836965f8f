"""vLLM's child processes: their output, and the signals that reach them."""

import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TypeVar

from ...logs import forwarded

T = TypeVar("T")

_CAUSE = re.compile(r"\b(?:\w+\.)*(\w*(?:Error|Exception|Interrupt)): (.+)")
_PREFIX = re.compile(r"\(\w+ pid=\d+\)\s*|\b(ERROR|INFO|WARNING) \d\d-\d\d \d\d:\d\d:\d\d \[[^]]*\]\s*")


class ChildOutput:
    """Forwards what child processes print, in the form of our log.

    It keeps the last `keep_lines`: only they say why a start failed.

    While children are started, file descriptors 1 and 2 are a pipe of ours, which the children inherit. A thread copies
    the pipe to the real standard error for as long as any of them lives; with `quiet_start` it drops what they print
    during the start. This process's own standard output stays clean for programs that read it.
    """

    def __init__(self, *, quiet_start: bool, keep_lines: int = 400) -> None:
        self._quiet = quiet_start
        self._lines: deque[str] = deque(maxlen=keep_lines)

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Redirect the descriptors within the block; children that are started in it keep the pipe."""
        sys.stdout.flush()
        sys.stderr.flush()
        real_stdout, real_stderr = os.dup(1), os.dup(2)
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.close(writer)
        threading.Thread(target=self._copy, args=(reader, os.dup(real_stderr)), daemon=True).start()
        try:
            yield
            self._quiet = False
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for real, fd in ((real_stdout, 1), (real_stderr, 2)):
                os.dup2(real, fd)
                os.close(real)

    def cause(self) -> str:
        """Return the name and message of the last exception that was printed, as one line; "" if there was none."""
        for line in reversed(self._lines):
            found = _CAUSE.search(_PREFIX.sub("", line))
            if found and "root cause" not in line:  # vLLM's references to a cause that was printed earlier
                return f"{found[1]}: {found[2].strip()}"
        return ""

    def _copy(self, reader: int, out: int) -> None:
        with os.fdopen(reader, errors="replace") as lines, os.fdopen(out, "w") as stderr:
            for line in lines:
                self._lines.append(line.rstrip("\n"))
                if not self._quiet:
                    stderr.write(forwarded(line.rstrip("\n")) + "\n")
                    stderr.flush()


def start_with_sigint_blocked(start: Callable[[], T]) -> T:
    """Run `start` in a thread that blocks SIGINT, which its child processes inherit; Ctrl-C ends the wait for it.

    A terminal sends Ctrl-C to the whole process group, and an engine that stopped at once would cut off the answers
    that this process lets finish. Children inherit the signal mask of the thread that starts them.
    """
    result: Future[T] = Future()

    def run() -> None:
        resource_tracker.ensure_running()  # if it were started later, it would unblock the signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            result.set_result(start())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, name="forefill-engine-start", daemon=True).start()
    return result.result()
