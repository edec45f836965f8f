"""Every error of a session: one reason, and one sentence that says what to do next.

ServiceError
├── Refusal                    Raised when an event or a stream is refused, for one `Reason`
├── SettingsFileError          Raised when a file that the settings name cannot be used
└── EngineError                Raised when the engine fails to do its work
    ├── EngineStartError       Raised when no engine starts: bad model, no memory
    ├── EngineUnavailable      Raised when the engine cannot be reached, or is lost during an answer
    │   ├── EngineUnreachable      Raised when it accepts no connection
    │   ├── EngineSlow             Raised when it does not answer in time
    │   ├── EngineNonsense         Raised when it answers what vLLM never answers
    │   └── EngineDied             Raised when it will never come back: this process can serve nothing
    └── EngineRefused          Raised when the engine refuses one request: an unusable prompt
        └── EngineBusy             Raised when it has no room for one more request
"""

import traceback
from enum import Enum


class Reason(Enum):
    """Reasons to refuse an event or a stream; names are those of `ErrorReason` on the wire, values are for people."""

    MALFORMED_MESSAGE = "the message could not be parsed; send well-formed protobuf with UTF-8 text"
    NOT_OPEN = "the stream did not begin with Open; send Open first"
    ALREADY_OPEN = "the session is already open and this Open is ignored; start a new stream for a new session"
    EVENT_MISSING = "the message is of no kind that this server knows and is ignored; set a known kind"
    SEQUENCE_REPEATED = "this event number was already used and the event is ignored; number events 1, 2, 3, ..."
    SEQUENCE_GAP = "event numbers were skipped, so the drafts may differ; replace the whole draft"
    POSITION_OUT_OF_RANGE = "the positions are outside the draft and the edit is ignored; replace the whole draft"
    DRAFT_DIVERGED = (
        "the server's draft differs from the client's and is not warmed; replace the whole draft, then FLUSH"
    )
    DRAFT_TOO_LONG = "the text is longer than Opened.limits.max_draft_code_points and is ignored; shorten it"
    EMPTY_SUBMIT = "there is nothing to answer; type something, or send the text with SUBMIT"
    GENERATION_RUNNING = (
        "an answer is still running, or a hand-off is open; wait for its end, or send HandOffFinished, or Cancel"
    )
    PROMPT_TOO_LONG = "the prompt leaves no room for an answer in the model's context; shorten it"
    INVALID_SAMPLING = "a sampling value cannot be used; correct it, or leave it out"
    TEMPLATE_REFUSED = "the model's chat template refuses these messages"
    INVALID_TOOLS = "the tools, or the choice of them, cannot be used; correct what the message says, and ask again"
    INVALID_OPEN = "a field of Open is not valid"
    SESSION_ENDED = "the session has ended and the event is ignored; start a new stream"
    GENERATION_FAILED = "the engine could not generate an answer; SUBMIT again"
    GENERATION_INTERRUPTED = (
        "the engine was lost during the answer; keep what arrived, or SUBMIT again for a whole answer"
    )
    NOTHING_TO_CANCEL = "no answer runs and no hand-off is open that could be stopped; go on, it may just have ended"
    ADAPTER_NOT_FOUND = "the engine does not have this adapter; open with one that it has, or without"
    INVALID_REWRITE = "the Rewrite does not fit the conversation, which stays as it is; send one that does"
    HAND_OFF_NOT_OFFERED = "this server does not say where its engine is reached, and the draft stays; use SUBMIT"
    NOTHING_HANDED_OFF = "no hand-off is open that could be finished; if the answer is missing, send it with Rewrite"
    INVALID_HAND_OFF = (
        "the HandOffFinished does not fit the conversation; the hand-off is still open: send one that fits"
    )
    ENGINE_UNAVAILABLE = "the engine has died; open again with the draft, on another server if there is one"
    SERVER_STOPPING = "the server is stopping; open again with the draft, on another server if there is one"
    TOO_MANY_SESSIONS = "the server is full; open again later, or on another server"
    TENANT_UNKNOWN = "the proxy in front of the server names no tenant, or several; have it set exactly one"
    UNAUTHENTICATED = "no credentials came that this server knows; send a token, or a client certificate"
    PERMISSION_DENIED = "the caller may not do this; ask the operator of the server"
    CREDENTIALS_EXPIRED = "the credentials have expired or were withdrawn; open again with new ones and the draft"
    RATE_LIMITED = "this caller wants too much; come again later"
    SESSION_IDLE = "nothing came for too long; open again with the draft when the user goes on"
    SESSION_TOO_OLD = "the session was open for too long; open again with the draft"
    MESSAGE_TOO_LARGE = "the message is larger than the server accepts; send less"
    CLIENT_TOO_SLOW = "the client does not read its answers; read them, then open again with the draft"
    ABORTED = "the client closed the stream without END, so its work was stopped"
    INTERNAL = "the server failed; its log has the cause under the id in the metadata; open again with the draft"


class ServiceError(Exception):
    """Raised when forefill cannot do what it was asked to do."""


class Refusal(ServiceError):
    """Raised when an event or a stream is refused; `detail` is added to the text of the reason.

    `retry_after_seconds` says when to come again, if that is known better than for the reason in general.
    """

    def __init__(self, reason: Reason, detail: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds

    def again(self) -> "Refusal":
        """Return a new one that says the same: one that is raised twice holds the frames of both in its traceback."""
        return Refusal(self.reason, self.detail, retry_after_seconds=self.retry_after_seconds)


class SettingsFileError(ServiceError):
    """Raised when a file that the settings name cannot be used; the message holds none of its values."""


class EngineError(ServiceError):
    """Raised when the engine fails to do its work."""


class EngineStartError(EngineError):
    """Raised when no engine starts; the message is one line with the cause."""


class EngineUnavailable(EngineError):
    """Raised when the engine cannot be reached, or is lost during an answer; it may come back."""


class EngineUnreachable(EngineUnavailable):
    """Raised when the engine accepts no connection, or is known to be down."""


class EngineSlow(EngineUnavailable):
    """Raised when the engine does not answer in time: it hangs, or is busy."""


class EngineNonsense(EngineUnavailable):
    """Raised when an engine answers what vLLM never answers; the message names the field, and repeats nothing of it."""


class EngineDied(EngineUnavailable):
    """Raised when the engine will never come back."""


class EngineRefused(EngineError):
    """Raised when the engine refuses one request and goes on with others."""


class EngineBusy(EngineRefused):
    """Raised when the engine has no room for one more request; another engine may have.

    `retry_after_seconds` says when to come again, None if the engine does not say.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def forget(error: BaseException) -> None:
    """Let go of what an error that was caught holds of its traceback's frames: that may be all that was typed.

    Else it would stay in memory until the garbage collector looks for cycles, long after its session.
    """
    known, rest = set[int](), [error]
    while rest:
        one = rest.pop()
        if id(one) not in known:
            known.add(id(one))
            traceback.clear_frames(one.__traceback__)
            one.__traceback__ = None
            rest += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
            rest += one.exceptions if isinstance(one, BaseExceptionGroup) else ()


def trace_without_message(error: BaseException) -> str:
    """Return where an error was raised and its type, without its message: that may hold what was typed."""
    if isinstance(error, BaseExceptionGroup):
        return "".join(map(trace_without_message, error.exceptions))
    return "".join([*traceback.format_tb(error.__traceback__), f"{type(error).__name__}\n"])
