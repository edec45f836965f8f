"""The form of a log line: for people, or JSON; the same for our lines, those of libraries, and those of vLLM."""

import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import ExceptionRenderer, JSONRenderer, TimeStamper
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name

from ..errors import trace_without_message

Format = Literal["human", "json"]
Event = structlog.typing.EventDict

_FIELDS = "forefill"
"""The attribute of a log record that holds our own fields; those that libraries add are left out."""
_OF_VLLM = re.compile(r"^(?:\(\w+ pid=\d+\)\s*)?(?:(DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d )?")


def configure(form: Format, level: str) -> None:
    """Write the log of this process to standard error, in this form, from this level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # it would print what a line that cannot be formatted was to hold
    structlog.configure(
        processors=[*_PREPARED, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def unify() -> None:
    """Have the loggers that libraries gave handlers of their own write through the root's, if it is `configure`d."""
    if _configured() is None:
        return
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and logger.handlers:
            logger.handlers.clear()
            logger.propagate = True


def forwarded(line: str) -> str:
    """Return a line that a process of vLLM printed in the form of this process's log."""
    formatter = _configured()
    if formatter is None or formatter.form == "human" or _is_json(line):
        return line
    found = _OF_VLLM.match(line)
    level = found[1] if found and found[1] else "INFO"
    event = line[found.end() :] if found and found[1] else line
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return json.dumps({"event": event, "level": level.lower(), "logger": "vllm", "timestamp": now})


def formatter(form: Format) -> "LineFormatter":
    """Return what makes lines of log records."""
    return LineFormatter(form)


class LineFormatter(ProcessorFormatter):
    """Makes lines of log records: those of `logging`, and those of structlog."""

    def __init__(self, form: Format) -> None:
        self.form = form
        super().__init__(
            foreign_pre_chain=_PREPARED,
            processors=[ProcessorFormatter.remove_processors_meta, _RENDERERS[form]],
        )


def _own_fields(_: Any, __: str, event: Event) -> Event:
    event.update(getattr(event.get("_record"), _FIELDS, {}))
    return event


def _trace(exc_info: Any) -> str:
    return trace_without_message(exc_info[1])


_PREPARED: list[Callable[[Any, str, Event], Event]] = [
    add_log_level,
    add_logger_name,
    _own_fields,
    TimeStamper(fmt="iso", utc=True),
    ExceptionRenderer(_trace),
]
_RENDERERS: dict[Format, Any] = {
    "human": ConsoleRenderer(
        colors=False,
        pad_event_to=0,
        pad_level=False,
        repr_native_str=True,
        sort_keys=False,
        exception_formatter=plain_traceback,
    ),
    "json": JSONRenderer(),
}


def _configured() -> LineFormatter | None:
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    return next((formatter for formatter in formatters if isinstance(formatter, LineFormatter)), None)


def _is_json(line: str) -> bool:
    if not line.startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
