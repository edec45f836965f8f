"""The ids of one turn's prompts: chat messages and a draft, by the model's own chat template.

Two facts shape this file. SUBMIT must send exactly what vLLM's chat endpoint would make of the same messages, so its
text is always rendered whole by the template. And the cost of a FLUSH must not grow with the prompt, so everything
before the draft is tokenized once (`frame`), and of the draft only what has changed (`growing`).

Stable ids are those of the confirmed text without as many at its end as the tokenizer may still change (`holdback`). If
it changes more, that costs a miss of one block, never a wrong answer.

A template may render a date, so the frame may change while a turn is open. The first FLUSH that finds it changed renews
it; if it changes all the time, it is renewed once a minute, and in between nothing is stable.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..errors import Reason, Refusal
from .frame import Frame
from .growing import GrowingText, Tokens
from .holdback import Holdback
from .messages import Conversation
from .token_ids import TokenIds, common_length

PROBES = ("a", " 7", ".)", "\nx", "的")
"""Continuations of a confirmed text. None ends in white space, which some templates trim."""
RENEWAL_SECONDS = 60.0
"""The least time between two renewals of a frame: one takes as long as making the turn did."""
_BLANKS = 64
"""How far back a run of white space is looked for."""
_NOTHING = TokenIds((), ())


def _stopped_clock() -> float:
    return 0.0


class Chat(Protocol):
    """What a prompt needs of a model."""

    @property
    def split_texts(self) -> tuple[str, ...]:
        """Special tokens at which tokenization restarts, whatever comes before them; may be empty."""

    @property
    def holdback(self) -> Holdback:
        """How much of a text's end the tokenizer may still change."""

    @property
    def longest_token(self) -> int:
        """Code points of the longest token in the vocabulary."""

    def render(self, conversation: Conversation) -> str:
        """Return the prompt's text; raises Refusal if the template refuses."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""

    def text_of(self, token: int) -> str:
        """Return the text of one token; of a part of a character it has U+FFFD."""

    def encode_with_ends(self, text: str) -> tuple[list[int], list[int]] | None:
        """Return the ids of a text and the code points before the end of each; None if the tokenizer cannot tell."""


@dataclass(frozen=True, slots=True)
class Stable:
    """How far the stable ids of a confirmed text reach: its length, their number after the head, where they end.

    The draft begins `offset` code points after the head.
    """

    confirmed_code_points: int
    tokens: int
    ends: Sequence[int]
    offset: int

    def covered(self, confirmed_code_points: int, lacking_tokens: int) -> int | None:
        """Return how many code points of the draft all but the last `lacking_tokens` cover; None if it is unknown."""
        if confirmed_code_points != self.confirmed_code_points or not self.ends:
            return None
        tokens = self.tokens - lacking_tokens
        return max(0, min(self.ends[tokens - 1] - self.offset, confirmed_code_points)) if tokens > 0 else 0


class TurnPrompt:
    """Renders the prompts of one turn: the conversation so far with any draft as its last message.

    Making one renders and tokenizes the whole base prompt. All methods take milliseconds or more: run them off the
    event loop. Several threads may call them at once without a lock: what is kept are immutable values, replaced as a
    whole. `context_tokens` is the model's context; a prompt must leave room for one token. `clock` returns seconds; by
    default it stands still, and the frame is renewed once at most.
    """

    def __init__(
        self,
        chat: Chat,
        conversation: Conversation,
        context_tokens: int,
        clock: Callable[[], float] = _stopped_clock,
    ) -> None:
        self._chat = chat
        self._conversation = conversation
        self._context_tokens = context_tokens
        self._clock = clock
        self._growing = GrowingText(chat, context_tokens)
        self._renewed_at: float | None = None
        self._stable: Stable | None = None
        self._frame = self._made_frame()
        self._check_room(self.base)

    @property
    def base(self) -> TokenIds:
        """The stable ids of an empty draft; they are made already."""
        return self._frame.base

    def final(self, text: str) -> TokenIds:
        """Return the ids of the prompt that asks for the answer to this text, exactly as vLLM's chat endpoint does.

        Raises Refusal: PROMPT_TOO_LONG, TEMPLATE_REFUSED.
        """
        frame, rendered = self._frame, self._render(text)
        if frame.opens(rendered):
            ids = TokenIds(frame.head, tuple(self._chat.encode(rendered[frame.cut :])))
        else:
            ids = TokenIds((), tuple(self._chat.encode(rendered)))
        self._check_room(ids)
        return ids

    def stable(self, confirmed: str) -> TokenIds:
        """Return the leading ids that all continuations of the confirmed text are expected to share.

        Raises Refusal: TEMPLATE_REFUSED; PROMPT_TOO_LONG if none of those continuations can be submitted.
        """
        rendered = self._render(confirmed + PROBES[0])
        if (frame := self._frame_of(rendered)) is None:
            return _NOTHING
        tokens = self._growing.tokens(self._body(frame, confirmed, rendered))
        ids = TokenIds(frame.head, tokens.ids.tail, chunks=tokens.ids.chunks)
        self._check_room(ids)
        stable_tokens = len(tokens.ids) - self._held_back(tokens)
        self._stable = Stable(len(confirmed), stable_tokens, tokens.ends, frame.length - frame.cut)
        return ids.prefix(len(frame.head) + stable_tokens)

    def covered(self, confirmed_code_points: int, lacking_tokens: int) -> int | None:
        """Return how much of the draft all stable ids but the last `lacking_tokens` cover, in code points.

        None if the last `stable` was of another length, or if the tokenizer cannot tell. This takes no time.
        """
        stable = self._stable
        return None if stable is None else stable.covered(confirmed_code_points, lacking_tokens)

    def _body(self, frame: Frame, confirmed: str, rendered: str) -> str:
        """Return the text from the head to the end of the confirmed text."""
        first, *others = PROBES
        if frame.after is not None and rendered.endswith(first + frame.after):
            return rendered[frame.cut : len(rendered) - len(first + frame.after)]
        # The template does more with the draft than to trim it: trust nothing but whole renderings.
        end = min(common_length(rendered, self._render(confirmed + probe)) for probe in others)
        return rendered[frame.cut : end]

    def _held_back(self, tokens: Tokens) -> int:
        """Return how many tokens at the end may still change; white space is trimmed if nothing follows it."""
        needed = self._chat.holdback.tokens(tokens.text)
        ending = tokens.text[-_BLANKS:]
        blanks = len(ending) - len(ending.rstrip())
        if blanks > 1 and tokens.ends:
            needed = max(needed, len(tokens.ends) - bisect_right(tokens.ends, len(tokens.text) - blanks))
        return min(needed, len(tokens.ids))

    def _frame_of(self, rendered: str) -> Frame | None:
        """Return the frame of a rendering, renewed if it has changed; None if it has changed again."""
        if not self._frame.opens(rendered) and self._may_renew():
            self._frame = self._made_frame()
        frame = self._frame
        return frame if frame.opens(rendered) else None

    def _may_renew(self) -> bool:
        now = self._clock()
        if self._renewed_at is not None and now - self._renewed_at < RENEWAL_SECONDS:
            return False
        self._renewed_at = now  # before the work: other threads need not do it, too
        return True

    def _made_frame(self) -> Frame:
        chat = self._chat
        return Frame.made(self._render, chat.encode, chat.split_texts, lambda text: chat.holdback.tokens(text))

    def _render(self, text: str) -> str:
        rendered = self._chat.render(self._conversation.drafted(text))
        most = self._context_tokens * self._chat.longest_token
        if len(rendered) > most:  # so it is too long, without a tokenizer: vLLM's rule, too
            raise Refusal(Reason.PROMPT_TOO_LONG, f"{len(rendered)} characters, and {most} have room at most")
        return rendered

    def _check_room(self, ids: TokenIds) -> None:
        if len(ids) >= self._context_tokens:
            raise Refusal(Reason.PROMPT_TOO_LONG, f"{len(ids)} tokens of {self._context_tokens}")
