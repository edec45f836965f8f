"""The lines of the log: one form for ours, those of libraries, and those of vLLM's processes."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from forefill_service.logs import forwarded, unify
from forefill_service.logs.lines import Format, LineFormatter

from tests.support.log_text import log_text

TYPED = "Zyzzyva"


def lines(form: Format, log: Any) -> list[str]:
    with log_text(LineFormatter(form)) as written:
        log()
    return written.getvalue().splitlines()


def test_a_json_line_has_time_level_logger_and_event() -> None:
    [line] = lines("json", lambda: logging.getLogger("a.library").warning("it is %s", "late"))
    read = json.loads(line)
    assert read.pop("timestamp").endswith("Z")
    assert read == {"event": "it is late", "level": "warning", "logger": "a.library"}


def test_a_human_line_has_them_too() -> None:
    [line] = lines("human", lambda: logging.getLogger("a.library").warning("it is %s", "late"))
    assert line.endswith("[warning] it is late [a.library]")


def test_our_own_fields_are_part_of_a_line_and_those_that_libraries_add_are_not() -> None:
    def log() -> None:
        extra = {"forefill": {"tenant": "clinic\n2026 [error] forged", "events": 3}, "body": TYPED}
        logging.getLogger("ours").info("a session has ended", extra=extra)

    [line] = lines("json", log)
    assert json.loads(line)["tenant"] == "clinic\n2026 [error] forged"
    assert json.loads(line)["events"] == 3
    assert TYPED not in line
    [line] = lines("human", log)
    assert line.endswith(r"tenant='clinic\n2026 [error] forged' events=3")


@pytest.mark.parametrize("form", ["human", "json"])
def test_an_exception_is_logged_without_its_message(form: Format) -> None:
    def log() -> None:
        try:
            try:
                raise KeyError(TYPED)
            except KeyError as error:
                raise ValueError(TYPED) from error
        except ValueError:
            logging.getLogger("ours").exception("it broke")

    text = "\n".join(lines(form, log))
    assert "ValueError" in text
    assert "in log" in text
    assert TYPED not in text


def test_a_line_in_json_stays_one_line() -> None:
    assert len(lines("json", lambda: logging.getLogger("ours").error("one\ntwo"))) == 1


@pytest.fixture
def formatted() -> Iterator[logging.Handler]:
    """A root logger that is configured for JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("json"))
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize(
    ("printed", "level", "event"),
    [
        ("(EngineCore pid=31) ERROR 11-27 15:00:00 [core.py:3] it broke", "error", "[core.py:3] it broke"),
        ("INFO 11-27 15:00:00 [core.py:3] ready", "info", "[core.py:3] ready"),
        ("Traceback (most recent call last):", "info", "Traceback (most recent call last):"),
        ("", "info", ""),
        ("{not json", "info", "{not json"),
    ],
)
@pytest.mark.usefixtures("formatted")
def test_a_line_of_vllms_processes_becomes_json(printed: str, level: str, event: str) -> None:
    read = json.loads(forwarded(printed))
    assert (read["level"], read["logger"], read["event"]) == (level, "vllm", event)


@pytest.mark.usefixtures("formatted")
def test_a_line_that_is_json_already_is_forwarded_as_it_is() -> None:
    assert forwarded('{"event": "ready"}') == '{"event": "ready"}'


def test_without_a_log_of_ours_lines_are_forwarded_as_they_are() -> None:
    assert forwarded("ERROR 11-27 15:00:00 it broke") == "ERROR 11-27 15:00:00 it broke"


@pytest.mark.usefixtures("formatted")
def test_a_library_with_a_handler_of_its_own_writes_through_ours() -> None:
    library = logging.getLogger("a.library.with.a.handler")
    library.addHandler(logging.StreamHandler())
    library.propagate = False
    unify()
    assert (library.handlers, library.propagate) == ([], True)


def test_a_program_that_did_not_configure_our_log_keeps_its_handlers() -> None:
    library = logging.getLogger("another.library.with.a.handler")
    library.addHandler(logging.NullHandler())
    unify()
    assert library.handlers


def test_a_configured_process_writes_json_alone_whatever_fails_in_it() -> None:
    program = f"""
import logging, threading, warnings
import structlog
from forefill_service.logs import configure, report_failures

class Odd:
    def __str__(self):
        raise ValueError("{TYPED}")
    def __del__(self):
        raise ValueError("{TYPED}")

def fail():
    raise ValueError("{TYPED}")

configure("json", "debug")
report_failures()
logging.getLogger("ours").debug("begins")
structlog.get_logger("theirs").info("structured", count=3)
warnings.warn("a warning")
logging.getLogger("ours").info("%d", "{TYPED}")
Odd()
thread = threading.Thread(target=fail, name="reader")
thread.start()
thread.join()
fail()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert TYPED not in done.stdout + done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event["event"].partition("\n")[0] for event in events if event["logger"] != "py.warnings"] == [
        "begins",
        "structured",
        "a clean-up failed",
        "the thread reader failed",
        "the server has failed",
    ]
    assert events[1]["count"] == 3
    assert all("ValueError" in event["event"] for event in events[-3:])
