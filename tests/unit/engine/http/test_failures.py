"""What a server's refusals stand for: none of its words is passed on."""

from datetime import UTC, datetime

import pytest
from forefill_service.engine.causes import CAUSES
from forefill_service.engine.http.failures import (
    MOST_REASON_BYTES,
    MOST_RETRY_SECONDS,
    NotOffered,
    NotServed,
    PromptTooLong,
    failure,
    retry_after_seconds,
)
from forefill_service.errors import EngineBusy, EngineError, EngineRefused, EngineUnavailable

CANARY = "zyzzyva at http://10.1.2.3:8000, /opt/vllm/secret.py"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, EngineRefused),
        (401, NotServed),
        (404, NotOffered),
        (501, NotOffered),
        (529, EngineUnavailable),
        (422, EngineRefused),
        (429, EngineBusy),
        (503, EngineBusy),
        (500, EngineUnavailable),
        (502, EngineUnavailable),
        (504, EngineUnavailable),
    ],
)
def test_each_http_status_is_one_error(status: int, error: type[EngineError]) -> None:
    assert type(failure(status, {"error": {"message": "why"}})) is error


@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 408, 413, 418, 422, 429, 500, 503, 599])
@pytest.mark.parametrize(
    "said",
    [
        CANARY,
        {"error": {"message": CANARY, "param": CANARY}},
        {"message": CANARY},
        {"error": CANARY},
        {"detail": CANARY},
        [CANARY],
        {"error": [CANARY]},
        {CANARY: CANARY},
        {"error": {"message": {"input": CANARY}, "param": 7}},
    ],
)
def test_nothing_that_a_server_says_is_passed_on(status: int, said: object) -> None:
    words = str(failure(status, said, reasons=["Roles must alternate"]))
    assert words
    for leak in CANARY.split():
        assert len(leak) < 3 or leak not in words


@pytest.mark.parametrize("said", ["", None, 7, "zyzzyva", {"error": {"message": "Grammar error: zyzzyva"}}])
def test_a_refusal_says_what_it_is_about_and_its_status(said: object) -> None:
    cause, _, status = str(failure(400, said)).partition(" (HTTP status ")
    assert cause in CAUSES
    assert status == "400)"


def test_a_prompt_that_is_too_long_is_known_as_such() -> None:
    said = {"error": {"message": "This model's maximum context length is 8192 tokens.", "param": "input_tokens"}}
    assert type(failure(400, said)) is PromptTooLong


def test_what_a_proxy_does_not_take_is_said_to_be_too_large() -> None:
    assert "larger than" in str(failure(413, "<html>internal-gw-7.corp.example"))


def test_the_templates_own_reason_is_passed_on_and_what_stands_around_it_is_not() -> None:
    said = {"error": {"message": f"Roles must alternate, not {CANARY}"}}
    reasons = frozenset({"Roles must", "Roles must alternate", "No user query found"})
    assert str(failure(400, said, reasons=reasons)) == "Roles must alternate"
    assert len(str(failure(400, "x" * 1000, reasons=["x" * 1000]))) == MOST_REASON_BYTES


@pytest.mark.parametrize("status", [429, 503])
def test_one_without_room_says_when_to_come_again(status: int) -> None:
    busy = failure(status, retry_after_seconds=7.0)
    assert isinstance(busy, EngineBusy)
    assert busy.retry_after_seconds == 7.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("9" * 30, MOST_RETRY_SECONDS),
        ("9" * 500, None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("nan", None),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 30.0),
        ("Fri, 02 Jan 2026 03:04:35 -0000", 30.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("Fri, 32 Jan 2026 03:04:35 GMT", None),
        ("Fri, 02 Jan 9999 03:04:35 GMT", MOST_RETRY_SECONDS),
    ],
)
def test_when_to_come_again_is_seconds_or_a_date_within_an_hour(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds
