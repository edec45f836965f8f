"""An answer begun before SUBMIT, as a value: its stage, and how much of it is asked for, released, and continued.

    nothing ── pause ──> ASKED ── permit ──> RUNNING ──────── ended, cap, revoked, failed ────────> HELD
                           │                    │ <─────────────── permit to go on ──────────────────┤
                           │                    │ SUBMIT of the same prompt                          │ SUBMIT
                           │                    v                                                    v
                           │                 ADOPTED ──────────────── ended, failed ────────> FINISHING
                           │                    │                                                    │
                           └── edit, SUBMIT ────┴──────────────── answered, stream cut ──────────────┴──> CLOSED

Each row of `STAGES` says what each happening does in one stage. What leaves ASKED, RUNNING or ADOPTED for HELD,
FINISHING or CLOSED otherwise than by its request's own end has that request stopped.

A pre-generation is the plain generation of one prompt, and what it costs is bounded: at the cap, the number of tokens
that it is worth by now (`guesses`), it ends. How it ends depends on whether a second request can continue it, which it
can if ids are what the engine is asked with, and the rest is drawn from them alone (`continuation.CONTINUES`):

    a second request can continue it    asked of the engine         at the cap, or when it must make way
    yes                                 no more than the cap        what it made is held, a new request continues it:
                                                                    before SUBMIT if the cap has risen, else after it
    no                                  all of the answer           closed

A penalty that the session leaves open is the model's own. An answer that came to its own end before the cap is held
whatever the sampling. A second request begins after the last token whose text was released: an output without text
means that the engine still holds bytes of an unfinished character, and one with several tokens may.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from ..chat.generation import Output
from ..chat.token_ids import TokenIds
from ..errors import EngineError

UNSEEN_TOKENS = 2
"""Most tokens that an engine makes of a request between our last look at it and the end of an abort."""


class Stage(Enum):
    """How far a pre-generation has come."""

    NOTHING = auto()
    """Nothing is begun for this prompt."""
    ASKED = auto()
    """It waits for its permit; the engine has not seen it."""
    RUNNING = auto()
    """The engine generates it; nothing is released."""
    HELD = auto()
    """Its request has ended, and what it made is kept."""
    ADOPTED = auto()
    """SUBMIT asks for exactly this, and its request runs on: all that comes is released."""
    FINISHING = auto()
    """SUBMIT asks for exactly this, and its request has ended: what is missing comes from a second one."""
    CLOSED = auto()
    """It is over, and its books are closed."""


class Happening(Enum):
    """What may happen to a pre-generation."""

    PAUSE = auto()
    """The user pauses on a draft with exactly this prompt."""
    PERMIT = auto()
    """Admission lets its request, or the next one, start."""
    SUPERSEDED = auto()
    """Another one has started."""
    EDIT = auto()
    """The draft changes."""
    SUBMIT_SAME = auto()
    """SUBMIT asks for this prompt, and nothing waits in the engine."""
    SUBMIT_SAME_BEHIND_OTHERS = auto()
    """SUBMIT asks for this prompt, while other requests wait in the engine."""
    SUBMIT_SAME_ENGINE_LOST = auto()
    """SUBMIT asks for this prompt, and the engine is down."""
    SUBMIT_OTHER = auto()
    """SUBMIT asks for another prompt."""
    CAP = auto()
    """It has as many tokens as it is worth."""
    REVOKED = auto()
    """It must make way for others, or has run for as long as it may."""
    ENGINE_ENDED = auto()
    """Its request has ended."""
    ENGINE_FAILED = auto()
    """Its request has failed."""
    ANSWERED = auto()
    """The answer is complete and released."""
    STREAM_CUT = auto()
    """The session, or this turn of it, is over."""


@dataclass(eq=False, slots=True)
class Pregeneration:
    """The answer to one prompt, begun before SUBMIT.

    `answer_tokens` is the most that the answer may have, `cap` the most that are worth making before SUBMIT, as it is
    known by now. `continuable` says whether a second request can continue it, `may_go_on` whether one may before
    SUBMIT.
    """

    text: str
    prompt: TokenIds
    continuable: bool
    answer_tokens: int
    cap: int = 1
    may_go_on: bool = True
    stage: Stage = Stage.ASKED
    outputs: list[Output] = field(default_factory=list)
    generated_tokens: int = 0
    failure: EngineError | None = None
    adopted_at_tokens: int | None = None
    released: int = 0
    released_ids: list[int] = field(default_factory=list)
    _releasable: int = 0

    def happens(self, happening: Happening) -> bool:
        """Take the stage that follows; return whether its request must be stopped for that."""
        before = self.stage
        rule = STAGES[before].get(happening, before)
        self.stage = rule if isinstance(rule, Stage) else rule(self)
        self.may_go_on &= happening not in (Happening.REVOKED, Happening.ENGINE_FAILED)
        if self.adopted and self.adopted_at_tokens is None:
            self.adopted_at_tokens = self.generated_tokens
        return before in _HAS_A_REQUEST and self.ended and happening not in _ITS_OWN_END

    def go_on(self, cap: int) -> None:
        """Prepare for a next request that makes it as long as `cap`: it follows the last token that can be released."""
        self.cap = cap
        del self.outputs[self._releasable :]
        if self.outputs:  # that its request has ended says nothing of the next one
            self.outputs[-1] = replace(self.outputs[-1], finish_reason=None)

    @property
    def asked_tokens(self) -> int:
        """Most tokens that its next request before SUBMIT makes."""
        most = min(self.cap, self.answer_tokens) if self.continuable else self.answer_tokens
        return most - self.held_tokens

    @property
    def held_tokens(self) -> int:
        """The number of tokens that it has, released or not."""
        return sum(len(output.token_ids) for output in self.outputs)

    @property
    def lead_ids(self) -> list[int]:
        """The ids that its next request follows: of all that can be released."""
        return [token for output in self.outputs[: self._releasable] for token in output.token_ids]

    @property
    def can_grow(self) -> bool:
        """Whether more of it may be made before SUBMIT."""
        return self.stage is Stage.HELD and self.may_go_on and self.continuable and not self.complete

    @property
    def rest_tokens(self) -> int:
        """Most tokens that may follow what was released."""
        return self.answer_tokens - len(self.released_ids)

    @property
    def adopted(self) -> bool:
        """Whether SUBMIT has asked for exactly this."""
        return self.stage in (Stage.ADOPTED, Stage.FINISHING)

    @property
    def ended(self) -> bool:
        """Whether its request has ended, or is about to."""
        return self.stage in (Stage.HELD, Stage.FINISHING, Stage.CLOSED)

    @property
    def cached_tokens(self) -> int | None:
        """Tokens of its prompt that the engine found cached; None until the engine reports them."""
        return next((part.cached_tokens for part in self.outputs if part.cached_tokens is not None), None)

    @property
    def finish_reason(self) -> str | None:
        """Why the engine ended it; None while it runs, or if it was stopped."""
        return self.outputs[-1].finish_reason if self.outputs else None

    @property
    def complete(self) -> bool:
        """Whether it is the whole answer; where no second request can go on, the first was asked for all of it."""
        if self.finish_reason == "length" and self.continuable:
            return self.held_tokens >= self.answer_tokens
        return self.finish_reason in ("stop", "length", "tool_calls")

    @property
    def over_cap(self) -> bool:
        """Whether it has as many tokens as it is worth, and its request would make more."""
        return self.held_tokens >= self.cap and self.finish_reason is None

    @property
    def has_releasable(self) -> bool:
        """Whether something of it can be released at once."""
        return self._releasable > 0

    @property
    def usable(self) -> bool:
        """Whether an answer can be made of it once its request has ended."""
        return self.has_releasable and (self.complete or self.continuable)

    def take(self, output: Output) -> None:
        """Take what the engine made next."""
        self.outputs.append(output)
        self.generated_tokens += len(output.token_ids)
        safe = bool(output.text) and len(output.token_ids) == 1
        if safe or self.complete or not self.continuable:
            self._releasable = len(self.outputs)

    def release(self) -> Output | None:
        """Return what can be released and was not yet, as one output; None if there is nothing."""
        if not (parts := self.release_apart()):
            return None
        token_ids = tuple(token for part in parts for token in part.token_ids)
        logprobs = tuple(place for part in parts for place in part.logprobs)
        text, reason = "".join(part.text for part in parts), parts[-1].finish_reason
        return Output(text, token_ids, self.cached_tokens, reason, logprobs=logprobs)

    def release_apart(self) -> list[Output]:
        """Return the same in the parts in which the engine made it: a splitter may take several at once for others."""
        parts, self.released = self.outputs[self.released : self._releasable], self._releasable
        self.released_ids.extend(token for part in parts for token in part.token_ids)
        return [
            replace(part, cached_tokens=self.cached_tokens, finish_reason=part.finish_reason if self.complete else None)
            for part in parts
        ]

    def adopted_and_discarded(self, *, answered: bool) -> tuple[int, int]:
        """Return how many of the tokens generated before SUBMIT were adopted, and how many discarded.

        If it was stopped, tokens that the engine may have made since our last look count as discarded.
        """
        if self.adopted_at_tokens is not None:
            adopted = min(self.adopted_at_tokens, len(self.released_ids)) if answered else 0
            return adopted, self.adopted_at_tokens - adopted
        unseen = 0 if self.finish_reason else min(UNSEEN_TOKENS, self.asked_tokens)
        return 0, self.generated_tokens + unseen


Rule = Stage | Callable[[Pregeneration], Stage]


def _held_if_usable(begun: Pregeneration) -> Stage:
    return Stage.HELD if begun.usable else Stage.CLOSED


def _adopted_if_releasable(begun: Pregeneration) -> Stage:
    """Decide what becomes of one that waits in the engine behind others: vLLM cannot raise its priority any more."""
    return Stage.ADOPTED if begun.has_releasable else Stage.CLOSED


_HAS_A_REQUEST = (Stage.ASKED, Stage.RUNNING, Stage.ADOPTED)
_ITS_OWN_END = (Happening.CAP, Happening.ENGINE_ENDED, Happening.ENGINE_FAILED)
_SUBMITS_OF_THE_SAME = (
    Happening.SUBMIT_SAME,
    Happening.SUBMIT_SAME_BEHIND_OTHERS,
    Happening.SUBMIT_SAME_ENGINE_LOST,
)

STAGES: dict[Stage, dict[Happening, Rule]] = {
    Stage.NOTHING: {Happening.PAUSE: Stage.ASKED},
    Stage.ASKED: {
        Happening.PERMIT: Stage.RUNNING,
        Happening.EDIT: Stage.CLOSED,
        **dict.fromkeys(_SUBMITS_OF_THE_SAME, Stage.CLOSED),
        Happening.SUBMIT_OTHER: Stage.CLOSED,
        Happening.ENGINE_ENDED: Stage.CLOSED,
        Happening.ENGINE_FAILED: Stage.CLOSED,
        Happening.STREAM_CUT: Stage.CLOSED,
    },
    Stage.RUNNING: {
        Happening.EDIT: Stage.CLOSED,
        Happening.SUBMIT_SAME: Stage.ADOPTED,
        Happening.SUBMIT_SAME_BEHIND_OTHERS: _adopted_if_releasable,
        Happening.SUBMIT_SAME_ENGINE_LOST: Stage.CLOSED,
        Happening.SUBMIT_OTHER: Stage.CLOSED,
        Happening.CAP: _held_if_usable,
        Happening.REVOKED: _held_if_usable,
        Happening.ENGINE_ENDED: _held_if_usable,
        Happening.ENGINE_FAILED: _held_if_usable,
        Happening.STREAM_CUT: Stage.CLOSED,
    },
    Stage.HELD: {
        Happening.PERMIT: Stage.RUNNING,
        Happening.SUPERSEDED: Stage.CLOSED,
        **dict.fromkeys(_SUBMITS_OF_THE_SAME, Stage.FINISHING),
        Happening.SUBMIT_OTHER: Stage.CLOSED,
        Happening.STREAM_CUT: Stage.CLOSED,
    },
    Stage.ADOPTED: {
        Happening.ENGINE_ENDED: Stage.FINISHING,
        Happening.ENGINE_FAILED: Stage.FINISHING,
        Happening.ANSWERED: Stage.CLOSED,
        Happening.STREAM_CUT: Stage.CLOSED,
    },
    Stage.FINISHING: {
        Happening.ANSWERED: Stage.CLOSED,
        Happening.STREAM_CUT: Stage.CLOSED,
    },
    Stage.CLOSED: {},
}
"""What follows in each stage; a happening that a row does not name leaves the stage as it is."""
