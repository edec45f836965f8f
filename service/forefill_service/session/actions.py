"""What is to be done for a session, as values: the state machine says it, the runner does it."""

from dataclasses import dataclass

from ..chat.messages import ChatMessage
from ..chat.tool_choice import ToolChoice
from ..errors import Reason
from .events import ReportedUsage


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """A turn begins: its base prompt, and `confirmed` of its draft, may be warmed."""

    messages: tuple[ChatMessage, ...]
    confirmed: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """This much of the draft is confirmed now: warm it, and no other.

    `seq` is that of the FLUSH to answer; None after an edit into the confirmed text of a turn that no answer runs for.
    """

    seq: int | None
    confirmed: str


@dataclass(frozen=True, slots=True)
class Defer:
    """A FLUSH came while an answer runs or a hand-off is open: answer that it is deferred to the next turn."""

    seq: int
    confirmed_code_points: int


@dataclass(frozen=True, slots=True)
class Drafted:
    """The draft of a turn that no answer runs for changed to this; in a pause its answer may be begun.

    The last `composed_code_points` of it may be under composition: a pause does not confirm them.
    """

    text: str
    composed_code_points: int = 0


@dataclass(frozen=True, slots=True)
class Hinted:
    """The client says that SUBMIT of the draft as it is now is likely soon, or no longer; Drafted ends it too."""

    likely: bool


@dataclass(frozen=True, slots=True)
class Generate:
    """Answer this text, or, without one, the conversation; the answer goes on after what of it is there already.

    `tool_choice` is the turn's own, None for the session's.
    """

    seq: int
    text: str | None
    answer_so_far: str = ""
    tool_choice: ToolChoice | None = None


@dataclass(frozen=True, slots=True)
class HandOver:
    """The application asks for the answer to this text itself, with this choice of tools: tell it how."""

    seq: int
    text: str
    tool_choice: ToolChoice | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """The hand-off is over: close its books by what was reported, None if it was taken back.

    `answered` says that there is an answer.
    """

    usage: ReportedUsage | None = None
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the running answer."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """An event was not carried out."""

    reason: Reason
    seq: int
    draft_code_points: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Close:
    """The session is over."""


Action = BeginTurn | Confirm | Defer | Drafted | Hinted | Generate | Stop | HandOver | Settle | Refuse | Close
