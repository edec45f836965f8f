"""The SDK's errors in words for the person who chats. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from forefill_client import (
    AdapterNotFound,
    ClientTooSlow,
    DraftTooLong,
    EmptySubmit,
    EngineUnavailable,
    ForefillError,
    GenerationFailed,
    GenerationInterrupted,
    GenerationRunning,
    InternalError,
    InvalidSampling,
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

_WORDS: Final[Mapping[type[ForefillError], str]] = MappingProxyType(
    {
        NotReachable: "No server answers at the address.",
        EngineUnavailable: "The server has lost its model.",
        ServerStopping: "The server is shutting down.",
        TooManySessions: "The server is full: try again in a moment.",
        RateLimited: "You have used what the server allows you for now: try again in a moment.",
        SessionIdle: "The server ended the session because nothing was typed for a while: type on.",
        Unavailable: "The connection was lost.",
        DraftTooLong: "This is longer than the server accepts: shorten it.",
        PromptTooLong: "The conversation no longer fits into the model: shorten your message, or start a new chat.",
        EmptySubmit: "Type something first.",
        TemplateRefused: "The model's chat template refuses these messages.",
        InvalidSampling: "The engine refuses --temperature or --max-tokens.",
        AdapterNotFound: "The engine does not have that adapter.",
        GenerationRunning: "The answer is still coming: Esc stops it.",
        GenerationFailed: "The engine did not answer: press Enter to ask again.",
        GenerationInterrupted: "The engine was lost in the middle of the answer: this is the part that came.",
        NotAuthenticated: "The server does not know your key, or it has expired.",
        PermissionDenied: "Your key does not allow this.",
        ClientTooSlow: "The server ended the session because answers were not read in time.",
        ProtocolError: "The server speaks another protocol: use the same version of both.",
        InternalError: "The server has a defect.",
        SessionEnded: "The session is over.",
    }
)


def in_words(error: ForefillError) -> str:
    """Return what the error means here; the nearest class in its family decides. Its own message if none is known."""
    for cls in type(error).__mro__:
        if cls in _WORDS:
            return _WORDS[cls] + _details(error)
    return str(error)


def _details(error: ForefillError) -> str:
    """Return what the words leave out, and a person or an operator needs."""
    if isinstance(error, PermissionDenied | TemplateRefused | InvalidSampling):
        return f" ({error})"
    if isinstance(error, InternalError) and error.error_id:
        return f" Its log has the details under {error.error_id}."
    return ""
