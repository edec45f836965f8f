"""Failures that nobody caught: logged by type and place. Python's own reports hold the message, and so any text."""

import asyncio
import logging
import sys
import threading
from types import TracebackType
from typing import Any

from ..errors import trace_without_message

log = logging.getLogger(__name__)


def report_failures() -> None:
    """Log what no thread, and no destructor, caught."""
    sys.excepthook = _of_the_program
    threading.excepthook = lambda failed: _say(f"the thread {failed.thread.name if failed.thread else '?'}", failed)
    sys.unraisablehook = lambda failed: _say("a clean-up", failed)


def report_failures_of_the_loop() -> None:
    """Log what no task or callback of the running event loop caught."""
    asyncio.get_running_loop().set_exception_handler(_of_the_loop)


def _of_the_program(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("the server has failed\n%s", trace_without_message(error))


def _of_the_loop(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # A callback's arguments are part of what asyncio says of it.
    said = "a callback failed" if "handle" in context else context["message"]
    error = context.get("exception")
    log.error("%s\n%s", said, "" if error is None else trace_without_message(error))


def _say(whose: str, failed: Any) -> None:
    trace = failed.exc_type.__name__ if failed.exc_value is None else trace_without_message(failed.exc_value)
    log.error("%s failed\n%s", whose, trace)
