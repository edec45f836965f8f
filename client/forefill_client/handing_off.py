"""What becomes of a session's hand-offs.

    ASKED ── the server says how ──> OPEN ── finished, or taken back ──> ENDING ── the server knows ──> OVER
      │                                ^                                   │
      └── refused ──> OVER             └────────── does not fit ───────────┘

If the stream breaks, what was ENDING is OVER, and what was ASKED or OPEN is told to the next server as well; what the
application was told before stays valid. If that server refuses, or does not know of it yet, the answer comes into the
conversation by a Rewrite, and nobody tells what became of the tokens.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from forefill.v1 import keystroke_pb2 as pb

from .composition import Composition, Events
from .errors import ForefillError, SessionEnded
from .hand_off import EndHandOff, HandedOff, prompt_fields
from .history import History
from .messages import ChatMessage, message_from_wire, message_to_wire
from .report import Ledger, ledger_from_wire


class Stage(Enum):
    """How far a hand-off has come."""

    ASKED = auto()
    """The server has not said yet how to ask."""
    OPEN = auto()
    """The application asks."""
    ENDING = auto()
    """It is finished or taken back, and the server does not know yet."""
    OVER = auto()
    """The next turn goes on."""


@dataclass(eq=False, slots=True)
class HandOff:
    """One hand-off, to the session: `seq` is its number, None while the server does not know of it.

    `ending` is the number of the event that ends it. `gets` is what the conversation gets then, None if it was taken
    back. `choice` is its own choice of tools, None for the session's.
    """

    text: str
    seq: int | None
    choice: pb.ToolChoice | None = None
    stage: Stage = Stage.ASKED
    told: pb.HandedOff = field(default_factory=pb.HandedOff)
    ending: int | None = None
    gets: tuple[ChatMessage, ...] | None = None
    ledger: Ledger | None = None
    error: ForefillError | None = None


class HandOffs:
    """The hand-offs of one session, of which at most one is not over."""

    def __init__(self, opening: pb.Open, composition: Composition, history: History) -> None:
        self._opening = opening
        self._composition = composition
        self._history = history
        self._latest: HandOff | None = None
        self._cancels: set[int] = set()

    @property
    def current(self) -> HandOff | None:
        """The one that is not over."""
        return None if self._latest is None or self._latest.stage is Stage.OVER else self._latest

    def at(self, seq: int) -> HandOff | None:
        """Return the one that is not over, if this is its number."""
        return self.current if self.current is not None and self.current.seq == seq else None

    # The application.

    def begin(self, event: pb.KeystrokeEvent) -> HandOff:
        """Return the hand-off that an event begins."""
        asked = event.hand_off
        self._latest = HandOff(asked.text, event.seq, asked.tool_choice if asked.HasField("tool_choice") else None)
        return self._latest

    def handed_off(self, hand_off: HandOff, end: EndHandOff) -> HandedOff:
        """Return what the application is told of a hand-off that the server has answered."""
        told = hand_off.told
        return HandedOff(
            text=hand_off.text,
            messages=(*self._history.messages, self._history.drafted(hand_off.text)),
            base_url=told.base_url,
            headers=dict(told.headers),
            cache_salt=told.cache_salt,
            model=told.model,
            prompt_tokens=told.prompt_tokens,
            cached_tokens=told.cached_tokens,
            **prompt_fields(self._opening, hand_off.choice),
            _end=end,
        )

    def end(self, hand_off: HandOff, finished: pb.HandOffFinished | None) -> Events:
        """Have a hand-off ended by what came of it; None: it is taken back."""
        hand_off.gets = None if finished is None else tuple(map(message_from_wire, finished.messages))
        if hand_off.seq is None:
            return self._end_unknown(hand_off)
        hand_off.stage = Stage.ENDING
        if finished is None:
            event = self._composition.cancel(keep_text=False)
            self._cancels.add(event.seq)
        else:
            event = self._composition.hand_off_finished(finished)
            if not hand_off.gets:  # the server does the same
                self._composition.take_back(hand_off.text)
        hand_off.ending = event.seq
        return [event]

    def drop(self, hand_off: HandOff) -> Events:
        """Take back a hand-off of which nobody was told; its text is the draft again, unless another was begun."""
        return [*self.end(hand_off, None), *self._composition.submit_refused(hand_off.text)]

    # The server.

    def hear_told(self, told: pb.HandedOff) -> None:
        """Take in how the engine is to be asked."""
        if (hand_off := self.at(told.seq)) is not None and hand_off.stage is Stage.ASKED:
            hand_off.told, hand_off.stage = told, Stage.OPEN

    def hear_settled(self, hand_off: HandOff, finished: pb.GenerationFinished) -> None:
        """Take in that a hand-off is over, and its ledger."""
        if hand_off.stage is Stage.ASKED:
            hand_off.error = SessionEnded("the session was ended before the hand-off was answered")
        hand_off.ledger = ledger_from_wire(finished.ledger)
        self._end_now(hand_off)

    def hear_error(self, error: ForefillError) -> Events | None:
        """Take in an error about a hand-off; return the events that follow on it, None if it is about none."""
        hand_off = self.current
        if hand_off is not None and error.seq in (hand_off.seq, hand_off.ending):
            return self._hear_error_about(hand_off, error)
        it_had_just_ended = error.reason == "NOTHING_TO_CANCEL" and error.seq in self._cancels
        return [] if it_had_just_ended else None

    def _hear_error_about(self, hand_off: HandOff, error: ForefillError) -> Events:
        if error.reason == "SEQUENCE_GAP":  # an event after a gap is carried out
            return []
        if hand_off.stage is Stage.ASKED:
            hand_off.error, hand_off.stage = error, Stage.OVER
            return self._composition.submit_refused(hand_off.text)
        if error.seq == hand_off.seq:  # another server than the first: the application asks already
            hand_off.seq = None
            return []
        if error.reason in ("NOTHING_HANDED_OFF", "NOTHING_TO_CANCEL"):
            return self._end_unknown(hand_off)
        hand_off.error, hand_off.stage = error, Stage.OPEN
        return []

    # The streams.

    def settle(self) -> None:
        """End a hand-off that was being ended on a stream that broke; the next server does not know of another yet."""
        if (hand_off := self.current) is not None:
            hand_off.seq = None
            if hand_off.stage is Stage.ENDING:
                self._end_now(hand_off)

    def told_again(self) -> Events:
        """Say on a stream that has just opened that there is a hand-off; nothing if there is none."""
        hand_off = self.current
        if hand_off is None or hand_off.seq is not None or self._composition.ended:
            return []
        events = self._composition.hand_off_beside(hand_off.text, hand_off.choice)
        hand_off.seq = events[0].seq
        return events

    def _end_unknown(self, hand_off: HandOff) -> Events:
        """End a hand-off that the server does not know: what the conversation gets comes by a Rewrite."""
        self._end_now(hand_off)
        if hand_off.gets is None:
            return []
        if not hand_off.gets:
            return self._composition.submit_refused(hand_off.text)
        kept = len(self._history.messages) - len(hand_off.gets)
        return [self._composition.rewrite(kept, [message_to_wire(message) for message in hand_off.gets])]

    def _end_now(self, hand_off: HandOff) -> None:
        hand_off.stage = Stage.OVER
        self._history.messages += hand_off.gets or ()
