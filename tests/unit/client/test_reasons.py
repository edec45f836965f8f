"""The errors of the wire as those of the SDK."""

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import ForefillError, errors
from forefill_client.reasons import REASONS, from_session_error, from_status, reason_name


def test_every_reason_of_the_wire_has_one_class() -> None:
    on_the_wire = {reason_name(value) for value in pb.ErrorReason.values()} - {"UNSPECIFIED"}
    assert set(REASONS) == on_the_wire


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_a_session_error_keeps_reason_seq_and_message_and_the_session(reason: str) -> None:
    wire = pb.SessionError(reason=pb.ErrorReason.Value(f"ERROR_REASON_{reason}"), message="do this", seq=3)
    error = from_session_error(wire)
    assert type(error) is REASONS[reason].error
    assert (error.reason, error.seq, str(error), error.session_continues) == (reason, 3, "do this", True)


@pytest.mark.parametrize(("milliseconds", "seconds"), [(0, 0.0), (7000, 7.0), (1, 0.001)])
def test_a_session_error_says_when_to_ask_again(milliseconds: int, seconds: float) -> None:
    wire = pb.SessionError(reason=pb.ERROR_REASON_GENERATION_FAILED, retry_after_ms=milliseconds)
    assert from_session_error(wire).retry_after_seconds == seconds


def test_a_reason_that_this_client_does_not_know_is_kept_by_its_number() -> None:
    error = from_session_error(pb.SessionError(reason=99))  # type: ignore[arg-type]
    assert type(error) is ForefillError
    assert error.reason == "REASON_99"
    assert error.seq is None


def test_a_status_without_reason_goes_by_its_code_and_keeps_its_details() -> None:
    error = from_status(grpc.StatusCode.UNAVAILABLE, "Socket closed", {})
    assert type(error) is errors.Unavailable
    assert error.retryable
    assert "Socket closed" in str(error)


def test_a_message_that_grpc_does_not_take_in_is_said_to_be_too_large_though_no_reason_comes() -> None:
    details = "SERVER: Received message larger than max (5000029 vs. 1114112)"
    error = from_status(grpc.StatusCode.RESOURCE_EXHAUSTED, details, {})
    assert type(error) is errors.InvalidRequest
    assert error.reason == "MESSAGE_TOO_LARGE"
    assert "send less" in str(error)
    assert details in str(error)


def test_what_the_client_itself_does_not_take_in_is_another_matter() -> None:
    details = "CLIENT: Received message larger than max (5000029 vs. 4194304)"
    error = from_status(grpc.StatusCode.RESOURCE_EXHAUSTED, details, {})
    assert error.reason == ""
    assert details in str(error)
