"""What vLLM's processes print, and which signals reach them."""

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

T = TypeVar("T")

_CAUSE = re.compile(r"\b(?:\w+\.)*(\w*(?:Error|Exception|Interrupt)): (.+)")
_PREFIX = re.compile(r"\(\w+ pid=\d+\)\s*|\b(ERROR|INFO|WARNING) \d\d-\d\d \d\d:\d\d:\d\d \[[^]]*\]\s*")


class ChildOutput:
    """Passes on what children print and remembers its end: the cause of a failed start stands only there.

    Takes over file descriptors 1 and 2 while processes are started, so that they write into a pipe of ours.

    A thread copies the pipe to the real standard error for as long as one of them lives; with `quiet_start` only what
    comes after the block. This process's own standard output stays clean for programs that read it.
    """

    def __init__(self, *, quiet_start: bool, keep_lines: int = 400) -> None:
        self._quiet = quiet_start
        self._lines: deque[str] = deque(maxlen=keep_lines)

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Redirect the descriptors for the time of the block; children started in it keep the pipe."""
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
        """Return the last exception's name and message that was printed, as one line, or ""."""
        for line in reversed(self._lines):
            found = _CAUSE.search(_PREFIX.sub("", line))
            if found and "root cause" not in line:  # vLLM's pointers to a cause that was printed before
                return f"{found[1]}: {found[2].strip()}"
        return ""

    def _copy(self, reader: int, out: int) -> None:
        with os.fdopen(reader, errors="replace") as lines, os.fdopen(out, "w") as stderr:
            for line in lines:
                self._lines.append(line.rstrip("\n"))
                if not self._quiet:
                    stderr.write(line)
                    stderr.flush()


def out_of_reach_of_ctrl_c(start: Callable[[], T]) -> T:
    """Return `start()`, run so that processes which it starts never see SIGINT; Ctrl-C ends the wait for it.

    A terminal sends Ctrl-C to the whole process group, and an engine that stops at once takes with it the answers that
    this process would let finish. Children inherit the signal mask of the thread that starts them.
    """
    result: Future[T] = Future()

    def run() -> None:
        resource_tracker.ensure_running()  # to start it later would unblock the signal again
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            result.set_result(start())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, name="forefill-engine-start", daemon=True).start()
    return result.result()
