"""Every error of a session: one reason, one sentence that says what to do next.

ServiceError
├── Refusal            an event or a stream is refused, for one `Reason`
└── EngineError        the engine did not do its work
    ├── EngineStartError       Raised when no engine comes up: bad model, no memory
    ├── EngineUnavailable      Raised when the engine cannot be reached, or is lost while it answers
    │   ├── EngineUnreachable      Raised when it cannot even be asked
    │   ├── EngineSlow             Raised when it did not answer in time
    │   └── EngineDied             Raised when it will never come back: this process has nothing to serve with
    └── EngineRefused          Raised when the engine refuses one request: an unusable prompt
        └── EngineBusy             Raised when it has no room for one more request
"""

from enum import Enum


class Reason(Enum):
    """Why an event or a stream is refused; the names are those of `ErrorReason` on the wire, the values tell people."""

    MALFORMED_MESSAGE = "the message could not be parsed; send well-formed protobuf with UTF-8 text"
    NOT_OPEN = "the stream did not begin with Open; send Open first"
    ALREADY_OPEN = "the session is open already and this Open is ignored; start a new stream for a new session"
    EVENT_MISSING = "the message has no kind that this server knows and is ignored; set one"
    SEQUENCE_REPEATED = "this event number was used before and the event is ignored; number events 1, 2, 3, ..."
    SEQUENCE_GAP = "event numbers were skipped, so the drafts may differ; replace the whole draft"
    POSITION_OUT_OF_RANGE = "the positions lie outside the draft and the edit is ignored; replace the whole draft"
    DRAFT_DIVERGED = "the server's draft is not the client's, nothing is warmed; replace the whole draft, then FLUSH"
    DRAFT_TOO_LONG = "the text is longer than Opened.limits.max_draft_code_points and is ignored; shorten it"
    EMPTY_SUBMIT = "there is nothing to submit; type something, or send the text with SUBMIT"
    GENERATION_RUNNING = "an answer is still running; wait for GenerationFinished, or close the stream to stop it"
    PROMPT_TOO_LONG = "the prompt leaves no room for an answer in the model's context; shorten it"
    INVALID_SAMPLING = "a sampling value is out of range"
    TEMPLATE_REFUSED = "the model's chat template refuses these messages"
    INVALID_OPEN = "a field of Open is not valid"
    SESSION_ENDED = "the session has ended and the event is ignored; start a new stream"
    GENERATION_FAILED = "the engine did not generate; SUBMIT again"
    GENERATION_INTERRUPTED = "the engine was lost in mid-answer; keep what came, or SUBMIT again for a whole answer"
    ENGINE_UNAVAILABLE = "the engine has died; open again with the draft, on another server if there is one"
    SERVER_STOPPING = "the server stops; open again with the draft, on another server if there is one"
    TOO_MANY_SESSIONS = "the server has all the sessions it takes; open again later, or on another server"
    CLIENT_TOO_SLOW = "the client does not read its answers; read them, then open again with the draft"
    ABORTED = "the client closed the stream without END, so what ran was stopped"
    INTERNAL = "a defect of the server; its log has the cause under the id in the metadata; open again with the draft"


class ServiceError(Exception):
    """Raised when forefill cannot do what it was asked."""


class Refusal(ServiceError):
    """Raised when an event or a stream is refused; `detail` says more than the reason where there is more to say."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class EngineError(ServiceError):
    """Raised when the engine did not do its work."""


class EngineStartError(EngineError):
    """Raised when no engine comes up; the message is one line of cause."""


class EngineUnavailable(EngineError):
    """Raised when the engine cannot be reached, or is lost while it answers; it may come back."""


class EngineUnreachable(EngineUnavailable):
    """Raised when the engine cannot even be asked: no connection is to be had, or it is known to be down."""


class EngineSlow(EngineUnavailable):
    """Raised when the engine did not answer in time: it hangs, or has much to do."""


class EngineDied(EngineUnavailable):
    """Raised when the engine will never come back."""


class EngineRefused(EngineError):
    """Raised when the engine refuses one request and lives on."""


class EngineBusy(EngineRefused):
    """Raised when the engine has no room for one more request: another engine may."""
