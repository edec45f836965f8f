"""Every error of the SDK, as one tree.

    ForefillError
    ├── Unavailable               try again, here or elsewhere
    │   ├── NotReachable          no server answers at the address
    │   ├── EngineUnavailable     the server's engine has died
    │   ├── ServerStopping        the server is shutting down
    │   ├── TooManySessions       the server is full
    │   ├── RateLimited           this caller wants too many streams or tokens
    │   └── SessionIdle           nothing was typed for too long
    ├── InvalidRequest            correct the request (also a ValueError)
    │   ├── InvalidText           text that has no UTF-8
    │   ├── InvalidSampling       a sampling value cannot be used
    │   ├── AdapterNotFound       the engine does not have the adapter
    │   ├── TemplateRefused       the chat template refused the messages
    │   ├── PromptTooLong         no room left in the model's context
    │   ├── DraftTooLong          longer than the server accepts
    │   └── EmptySubmit           nothing to submit
    ├── NotAuthenticated          the server does not know the credentials, or they have expired
    ├── PermissionDenied          the credentials do not allow it
    ├── GenerationRunning         an answer is still running, or a hand-off is not finished
    ├── GenerationFailed          the engine did not generate
    ├── GenerationInterrupted     the engine was lost in mid-answer; `text` is the part that came
    ├── HandOffNotOffered         the server does not say where its engine is
    ├── DraftDiverged             the server's draft could not be repaired
    ├── ClientTooSlow             answers were not read in time
    ├── ProtocolError             client and server do not speak the same protocol
    ├── InternalError             a defect in the server; its log has it under `error_id`
    └── SessionEnded              the session is over
        └── Aborted               it was cancelled

An error that arrives as a SessionError leaves the session usable; one that arrives as the status of the stream ends it.
`session_continues` says which it was. The table `forefill_client.reasons.REASONS` maps the wire's ErrorReason to these
classes.
"""

from typing import ClassVar


class ForefillError(Exception):
    """Raised when an error has no class of its own; the parent of all that have one."""

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed a little later."""
    reason: str
    """Name of the wire's ErrorReason without its prefix, such as "PROMPT_TOO_LONG"; empty if there is none."""
    seq: int | None
    """Number of the event that was refused; None if the error is about none."""
    session_continues: bool
    """Whether the session can still be used."""
    retry_after_seconds: float
    """For how many seconds the server wants not to be asked again; 0 if it says nothing."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        seq: int | None = None,
        session_continues: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.seq = seq
        self.session_continues = session_continues
        self.retry_after_seconds = 0.0


class Unavailable(ForefillError):
    """Raised when no server could serve the session; open a new one with the draft, here or at another server."""

    retryable = True


class NotReachable(Unavailable):
    """Raised when no server answers at the address."""


class EngineUnavailable(Unavailable):
    """Raised when the server's engine has died."""


class ServerStopping(Unavailable):
    """Raised when the server is shutting down."""


class TooManySessions(Unavailable):
    """Raised when the server has as many sessions as it accepts."""


class RateLimited(Unavailable):
    """Raised when this caller has too many sessions, opens too many in too short a time, or has used up its tokens."""


class SessionIdle(Unavailable):
    """Raised when the server ended the session because nothing was typed for too long."""


class NotAuthenticated(ForefillError):
    """Raised when the server does not know the credentials, or they have expired; connect with others."""


class PermissionDenied(ForefillError):
    """Raised when the credentials do not allow what was asked; the message says what."""


class InvalidRequest(ForefillError, ValueError):
    """Raised when no server could do what was asked; correct the call."""


class InvalidText(InvalidRequest):
    """Raised when a text cannot be encoded as UTF-8, because of a lone surrogate. Nothing was sent."""


class InvalidSampling(InvalidRequest):
    """Raised when a sampling value is out of range, or when the engine refuses it: the message says which."""


class AdapterNotFound(InvalidRequest):
    """Raised when the engine does not have the LoRA adapter, or cannot load it; open with another, or without."""


class TemplateRefused(InvalidRequest):
    """Raised when the model's chat template refused the messages."""


class PromptTooLong(InvalidRequest):
    """Raised when the prompt leaves no room in the model's context."""


class DraftTooLong(InvalidRequest):
    """Raised when the draft is longer than the server accepts."""


class EmptySubmit(InvalidRequest):
    """Raised when there is nothing to submit, or no message to respond to."""


class GenerationRunning(ForefillError):
    """Raised when an answer is still running, or a hand-off is open; end it first, or cancel it."""

    retryable = True


class GenerationFailed(ForefillError):
    """Raised when the engine did not generate; submit again, after `retry_after_seconds` if it has no room."""

    retryable = True


class GenerationInterrupted(ForefillError):
    """Raised when the engine was lost in mid-answer; keep the part that came, or submit again for a whole answer."""

    retryable = True
    text: str = ""
    """The part of the answer that came before."""


class HandOffNotOffered(ForefillError):
    """Raised when the server's operator has not said where applications reach the engine; use submit."""


class DraftDiverged(ForefillError):
    """Raised when the server's draft could not be repaired; submit still works, since it carries the whole text."""


class ClientTooSlow(ForefillError):
    """Raised when the server ended the session because its answers were not read in time."""

    retryable = True


class ProtocolError(ForefillError):
    """Raised when client and server do not speak the same protocol; use the same version of both."""


class InternalError(ForefillError):
    """Raised when the server has a defect; its log has the details under `error_id`."""

    retryable = True
    error_id: str
    """Names the error in the server's log; "" if the server gave no name."""

    def __init__(self, message: str, *, error_id: str = "", reason: str = "INTERNAL", seq: int | None = None) -> None:
        super().__init__(f"{message} (error id {error_id})" if error_id else message, reason=reason, seq=seq)
        self.error_id = error_id


class SessionEnded(ForefillError):
    """Raised when the session is over; open a new one."""


class Aborted(SessionEnded):
    """Raised when the session was cancelled, for example because an answer was not read to its end."""
