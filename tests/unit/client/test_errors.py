"""The error tree, its table, and the names that callers rely on."""

import json
import subprocess
import sys

import forefill_client
import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import ForefillError, errors


def test_every_reason_of_the_wire_has_one_class() -> None:
    on_the_wire = {errors.reason_name(value) for value in pb.ErrorReason.values()} - {"UNSPECIFIED"}
    assert set(errors.REASONS) == on_the_wire


def test_every_error_class_is_public_and_drawn_in_the_tree() -> None:
    classes = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ForefillError)}
    for cls in classes:
        assert cls.__name__ in forefill_client.__all__
        assert cls.__name__ in (errors.__doc__ or "")
        assert (cls.__doc__ or "").startswith("Raised when ")


@pytest.mark.parametrize("reason", sorted(errors.REASONS))
def test_a_session_error_keeps_reason_seq_and_message_and_the_session(reason: str) -> None:
    wire = pb.SessionError(reason=pb.ErrorReason.Value(f"ERROR_REASON_{reason}"), message="do this", seq=3)
    error = errors.from_session_error(wire)
    assert type(error) is errors.REASONS[reason].error
    assert (error.reason, error.seq, str(error), error.session_continues) == (reason, 3, "do this", True)


@pytest.mark.parametrize(("milliseconds", "seconds"), [(0, 0.0), (7000, 7.0), (1, 0.001)])
def test_a_session_error_says_when_to_ask_again(milliseconds: int, seconds: float) -> None:
    wire = pb.SessionError(reason=pb.ERROR_REASON_GENERATION_FAILED, retry_after_ms=milliseconds)
    assert errors.from_session_error(wire).retry_after_seconds == seconds


def test_a_reason_that_this_client_does_not_know_is_kept_by_its_number() -> None:
    error = errors.from_session_error(pb.SessionError(reason=99))  # type: ignore[arg-type]
    assert type(error) is ForefillError
    assert error.reason == "REASON_99"
    assert error.seq is None


def test_a_status_without_reason_goes_by_its_code_and_keeps_its_details() -> None:
    error = errors.from_status(grpc.StatusCode.UNAVAILABLE, "Socket closed", {})
    assert type(error) is errors.Unavailable
    assert error.retryable
    assert "Socket closed" in str(error)


def test_a_message_that_grpc_does_not_take_in_is_said_to_be_too_large_though_no_reason_comes() -> None:
    details = "SERVER: Received message larger than max (5000029 vs. 1114112)"
    error = errors.from_status(grpc.StatusCode.RESOURCE_EXHAUSTED, details, {})
    assert type(error) is errors.InvalidRequest
    assert error.reason == "MESSAGE_TOO_LARGE"
    assert "send less" in str(error)
    assert details in str(error)


def test_what_the_client_itself_does_not_take_in_is_another_matter() -> None:
    details = "CLIENT: Received message larger than max (5000029 vs. 4194304)"
    error = errors.from_status(grpc.StatusCode.RESOURCE_EXHAUSTED, details, {})
    assert error.reason == ""
    assert details in str(error)


def test_the_public_names() -> None:
    assert forefill_client.__all__ == [
        "Aborted",
        "AdapterNotFound",
        "Answer",
        "AnswerPart",
        "AsyncClient",
        "CacheScope",
        "ChatMessage",
        "Client",
        "ClientTooSlow",
        "CompletionUsage",
        "DraftDiverged",
        "DraftTooLong",
        "EmptySubmit",
        "EngineUnavailable",
        "FinishReason",
        "FlushOutcome",
        "FlushResult",
        "ForefillError",
        "GenerationFailed",
        "GenerationInterrupted",
        "GenerationRunning",
        "GenerationSource",
        "HandOffNotOffered",
        "HandedOff",
        "HandedOffRequest",
        "InternalError",
        "InvalidRequest",
        "InvalidSampling",
        "InvalidText",
        "Ledger",
        "Limits",
        "MessageLike",
        "Metadata",
        "NotAuthenticated",
        "NotReachable",
        "OnState",
        "Opened",
        "PermissionDenied",
        "PregenerationCount",
        "PregenerationMode",
        "PregenerationOutcome",
        "PregenerationUpdate",
        "PromptTooLong",
        "ProtocolError",
        "RateLimited",
        "Report",
        "Resume",
        "Sampling",
        "ServerStopping",
        "Session",
        "SessionEnded",
        "SessionIdle",
        "SessionState",
        "ShedReason",
        "Started",
        "SyncAnswer",
        "SyncHandedOff",
        "SyncSession",
        "TemplateRefused",
        "TokenLogprob",
        "TokenLogprobs",
        "TooManySessions",
        "ToolCall",
        "ToolCallPart",
        "ToolChoice",
        "Unavailable",
        "UsageLike",
        "WarmMode",
    ]
    assert all(hasattr(forefill_client, name) for name in forefill_client.__all__)


def test_importing_the_client_takes_grpc_and_protobuf_alone() -> None:
    code = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import forefill_client; print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code, json.dumps(sys.path)], capture_output=True, text=True, check=True
    ).stdout
    loaded = {name.partition(".")[0] for name in out.split()} - set(sys.stdlib_module_names)
    assert "forefill_client" in loaded
    assert not loaded & {"numpy", "pydantic", "rich", "torch", "transformers", "vllm", "forefill_service", "google.rpc"}
    assert "grpc_status" not in loaded
