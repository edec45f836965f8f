"""A worker of vLLM's that hangs when it is told to: its process sleeps, without being stopped.

vLLM imports this in the worker's process, if it is started with `WORKER` as its `worker_extension_cls`.
"""

import signal
import threading
import time

WORKER = f"{__name__}.SleepyWorker"
HANG = signal.SIGUSR1


class SleepyWorker:
    """Mixed into vLLM's own worker."""


def _hang(*_: object) -> None:
    time.sleep(3600)


if threading.current_thread() is threading.main_thread():
    signal.signal(HANG, _hang)
