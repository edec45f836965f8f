"""The SDK of forefill: the model reads the prompt while it is typed, so that the answer starts at Enter.

    async with AsyncClient.connect("127.0.0.1:50051") as client:
        async with client.session([("system", schema)], sampling=Sampling(max_tokens=64)) as session:
            await session.type("Show me all ")
            await session.type("patients")
            answer = await session.submit()
            async for delta in answer:
                print(delta, end="")
            print(answer.report)

`Client` is the same without await. Every error is a ForefillError. Further modules:

    forefill_client.positions    positions and changes as editors count them
    forefill_client.testing      a server in the process of your tests
    forefill_client.keystrokes   a simulated user
"""

from .answer import Answer
from .answer_parts import AnswerPart, ToolCallPart
from .client import AsyncClient
from .connection import VERSION, Metadata
from .errors import (
    Aborted,
    AdapterNotFound,
    ClientTooSlow,
    DraftDiverged,
    DraftTooLong,
    EmptySubmit,
    EngineUnavailable,
    ForefillError,
    GenerationFailed,
    GenerationInterrupted,
    GenerationRunning,
    HandOffNotOffered,
    InternalError,
    InvalidRequest,
    InvalidSampling,
    InvalidText,
    NotAuthenticated,
    NotReachable,
    PermissionDenied,
    PromptTooLong,
    ProtocolError,
    RateLimited,
    ServerStopping,
    SessionEnded,
    SessionIdle,
    TemplateRefused,
    TooManySessions,
    Unavailable,
)
from .field_docs import show_field_docs
from .hand_off import CompletionUsage, HandedOff, HandedOffRequest, UsageLike
from .logprobs import TokenLogprob, TokenLogprobs
from .messages import ChatMessage, MessageLike, ToolCall
from .options import CacheScope, PregenerationMode, Resume, Sampling, WarmMode
from .outcomes import FinishReason, FlushOutcome, GenerationSource, PregenerationOutcome, ShedReason
from .report import FlushResult, Ledger, Limits, Opened, PregenerationCount, PregenerationUpdate, Report, Started
from .session import Session
from .session_state import OnState, SessionState
from .sync import Client
from .sync_answer import SyncAnswer
from .sync_session import SyncHandedOff, SyncSession
from .tool_choice import ToolChoice

__version__ = VERSION
__all__ = [
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

show_field_docs(map(globals().get, __all__))
