"""The error tree, and the names that callers rely on."""

import json
import subprocess
import sys

import forefill_client
from forefill_client import ForefillError, errors


def test_every_error_class_is_public_and_drawn_in_the_tree() -> None:
    classes = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ForefillError)}
    for cls in classes:
        assert cls.__name__ in forefill_client.__all__
        assert cls.__name__ in (errors.__doc__ or "")
        assert (cls.__doc__ or "").startswith("Raised when ")


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
