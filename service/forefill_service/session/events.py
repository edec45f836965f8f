"""Requests of a stream, as values: checked at the edge by `wire.from_messages`, trusted after."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from ..chat.generation import Sampling
from ..chat.messages import ChatMessage, Conversation
from ..chat.tool_choice import ToolChoice, WantedChoice


class WarmMode(Enum):
    """Whether a session warms."""

    AUTO = auto()
    OFF = auto()


class CacheScope(Enum):
    """Sessions that may hit the blocks that a session computes."""

    SHARED = auto()
    SESSION = auto()


class PregenerationMode(Enum):
    """Whether a session's answers may be generated before SUBMIT."""

    AUTO = auto()
    """If it is worth more than it costs now."""
    OFF = auto()
    """Never."""
    ON = auto()
    """The same, and in any case in every pause that is long enough."""


@dataclass(frozen=True, slots=True)
class Open:
    """The first message: everything before the draft, and how to serve the session."""

    messages: tuple[ChatMessage, ...] = ()
    sampling: Sampling = Sampling()
    draft: str = ""
    warm_mode: WarmMode = WarmMode.AUTO
    session_key: str = ""
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    cache_scope: CacheScope | None = None  # the server's default
    pregeneration_mode: PregenerationMode = PregenerationMode.AUTO
    resume_token: str = ""
    cache_secret: bytes = field(default=b"", repr=False)
    adapter: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    documents: tuple[Mapping[str, str], ...] = ()
    reasoning_effort: str = ""
    continue_final_message: bool = False
    tool_choice: ToolChoice = "auto"
    draft_name: str | None = None
    parallel_tool_calls: bool = True
    report_pregenerations: bool = False
    fingerprint: str = field(default="", repr=False, compare=False)
    """`fingerprint` of it, if that was made: off the event loop, since it takes as long as the conversation is."""

    def conversation(self, messages: tuple[ChatMessage, ...]) -> Conversation:
        """Return a conversation of this session, of which these are the messages so far."""
        return Conversation(
            messages,
            self.chat_template_kwargs,
            self.tools,
            self.documents,
            self.reasoning_effort,
            self.continue_final_message,
            self.tool_choice,
            self.draft_name,
            self.parallel_tool_calls,
        )


def fingerprint(opening: Open) -> str:
    """Return a digest of what a prompt begins with, as far as the messages, tools and documents decide it."""
    said = (opening.messages, opening.tools, opening.documents, opening.reasoning_effort)
    return hashlib.sha256(repr(said).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CharAdd:
    """Text was typed at the end."""

    text: str


@dataclass(frozen=True, slots=True)
class CharDelete:
    """Code points were deleted from the end."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Replace:
    """The code points from `start` to before `end` became `text`."""

    start: int
    end: int
    text: str


Edit = CharAdd | CharDelete | Replace


@dataclass(frozen=True, slots=True)
class Flush:
    """The confirmed text may be warmed; length and checksum are those of the client's draft."""

    draft_code_points: int
    draft_crc32: int
    confirmed_code_points: int | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """SUBMIT of the draft as it is now is likely soon, or no longer."""

    likely: bool


@dataclass(frozen=True, slots=True)
class Submit:
    """Enter was pressed; `text` wins over the server's draft. The answer goes on after `answer_so_far`.

    `tool_choice` holds for this turn; None: that of Open. So it does in the other kinds.
    """

    text: str | None = None
    answer_so_far: str = ""
    tool_choice: WantedChoice | None = None


@dataclass(frozen=True, slots=True)
class Respond:
    """The conversation is to be answered as it is, without a draft; the answer goes on after `answer_so_far`."""

    answer_so_far: str = ""
    tool_choice: WantedChoice | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """The running answer is to stop; `keep_text` says whether what was sent of it stays in the conversation."""

    keep_text: bool


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The conversation is its first `keep_messages` messages, and these."""

    keep_messages: int
    messages: tuple[ChatMessage, ...]


@dataclass(frozen=True, slots=True)
class HandOff:
    """Enter was pressed, and the application asks the engine itself; `text` wins over the server's draft."""

    text: str | None = None
    tool_choice: WantedChoice | None = None


@dataclass(frozen=True, slots=True)
class ReportedUsage:
    """What an application was told of its own request, in tokens; None if it was not told."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class HandOffFinished:
    """The hand-off is over: the conversation gets these messages; none: nothing came of it."""

    messages: tuple[ChatMessage, ...] = ()
    usage: ReportedUsage = ReportedUsage()


@dataclass(frozen=True, slots=True)
class End:
    """The session is over, after the running answer."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message or event without a kind that this server knows."""


Kind = Edit | Flush | Hint | Submit | Respond | Cancel | Rewrite | HandOff | HandOffFinished | End | Unknown


@dataclass(frozen=True, slots=True)
class KeystrokeEvent:
    """One numbered thing that the user did."""

    seq: int
    kind: Kind
