"""An answer begun before SUBMIT, as a value: how much of it is asked for, told, and gone on with. No clock, no await.

What is begun is the plain generation of one prompt, and what it costs is bounded: at the cap on tokens it ends. How it
ends depends on whether a second request can go on with it, which is so where the rest is drawn from the ids alone:

    sampling of the answer              asked of the engine         at the cap, or when it must make way
    none of these                       no more than the cap        what it made is kept, a new request goes on with it
    a seed, with a temperature          all of the answer           given up: the seed's state is the request's own
    a presence or frequency penalty     all of the answer           given up: they count the answer alone
    stop texts                          all of the answer           given up: one may have begun in what was made

A penalty that the session leaves open is the model's own. An answer that came to its own end before the cap is kept
whatever the sampling. A second request begins behind the last token whose text was told: an output without text means
that the engine still holds bytes of an unfinished character, and one with several tokens may.
"""

from dataclasses import dataclass, field

from ..chat.generation import Output, Sampling
from ..chat.token_ids import TokenIds
from ..errors import EngineError

UNSEEN_TOKENS = 2
"""Most tokens that an engine makes of a request between our last look at it and the end of an abort."""

LONGEST_PAUSE_FACTOR = 16


def continuable(sampling: Sampling, *, penalizes: bool = False) -> bool:
    """Tell whether a second request can go on with what a first one made, as the first would have.

    `penalizes`: the model has a penalty of its own where the session says nothing.
    """
    seeded = sampling.seed is not None and sampling.temperature != 0
    penalties = (sampling.presence_penalty, sampling.frequency_penalty)
    penalized = any(penalties) or (penalizes and None in penalties)
    return not (seeded or penalized or sampling.stop)


@dataclass(slots=True)
class Pregeneration:
    """What is begun for one draft: `answer_tokens` is the most that the answer may have, `cap` the most before SUBMIT.

    `continuable` says whether a second request can go on with it, `believed_tokens` how many leading tokens of the
    prompt were believed cached when it was sent.
    """

    text: str
    prompt: TokenIds
    continuable: bool
    answer_tokens: int
    cap: int
    believed_tokens: int = 0
    outputs: list[Output] = field(default_factory=list)
    generated_tokens: int = 0
    ended: bool = False
    failure: EngineError | None = None
    adopted_at_tokens: int | None = None
    told: int = 0
    told_ids: list[int] = field(default_factory=list)
    _tellable: int = 0

    @property
    def asked_tokens(self) -> int:
        """Most tokens that its own request makes."""
        return min(self.cap, self.answer_tokens) if self.continuable else self.answer_tokens

    @property
    def rest_tokens(self) -> int:
        """Most tokens that may follow what was told."""
        return self.answer_tokens - len(self.told_ids)

    @property
    def adopted(self) -> bool:
        """Whether SUBMIT has asked for exactly this."""
        return self.adopted_at_tokens is not None

    @property
    def cached_tokens(self) -> int | None:
        """What the engine found cached of its prompt, if it has told by now."""
        return next((part.cached_tokens for part in self.outputs if part.cached_tokens is not None), None)

    @property
    def finish_reason(self) -> str | None:
        """Why the engine ended it; None while it runs, or where it was stopped."""
        return self.outputs[-1].finish_reason if self.outputs else None

    @property
    def complete(self) -> bool:
        """Whether it is the whole answer."""
        if self.finish_reason == "length":
            return self.generated_tokens >= self.answer_tokens
        return self.finish_reason == "stop"

    @property
    def over_cap(self) -> bool:
        """Whether it must be stopped where nobody has asked for it."""
        return self.generated_tokens >= self.cap and self.finish_reason is None

    @property
    def adoptable(self) -> bool:
        """Whether there is something of it to tell, and a way to come by the rest."""
        return self._tellable > 0 and (not self.ended or self.complete or self.continuable)

    def take(self, output: Output) -> None:
        """Take what the engine made next."""
        self.outputs.append(output)
        self.generated_tokens += len(output.token_ids)
        safe = bool(output.text) and len(output.token_ids) == 1
        if safe or self.complete or not self.continuable:
            self._tellable = len(self.outputs)

    def adopt(self) -> None:
        """Take it that SUBMIT asks for exactly this."""
        self.adopted_at_tokens = self.generated_tokens

    def tell(self) -> Output | None:
        """Return what may be told and was not yet, as one output; None where there is nothing."""
        if self.told == self._tellable:
            return None
        parts, self.told = self.outputs[self.told : self._tellable], self._tellable
        token_ids = tuple(token for part in parts for token in part.token_ids)
        self.told_ids.extend(token_ids)
        reason = parts[-1].finish_reason if self.complete else None
        return Output("".join(part.text for part in parts), token_ids, self.cached_tokens, reason)

    def split(self, *, answered: bool) -> tuple[int, int]:
        """Return how many of the tokens generated before SUBMIT were adopted, and how many discarded.

        Where it was stopped, those that nobody saw count as discarded.
        """
        if self.adopted_at_tokens is not None:
            adopted = min(self.adopted_at_tokens, len(self.told_ids)) if answered else 0
            return adopted, self.adopted_at_tokens - adopted
        unseen = 0 if self.finish_reason else min(UNSEEN_TOKENS, self.asked_tokens - self.generated_tokens)
        return 0, self.generated_tokens + unseen


@dataclass(slots=True)
class Guesses:
    """How often a pause may be taken for the end of a draft: `tries_per_draft` times.

    Where `adaptive`, a session that was guessed wrong twice in a row has to pause twice as long the next time, and
    twice as long again after each further wrong guess, to 16 times; one right guess, and it is the set pause again.
    """

    tries_per_draft: int
    adaptive: bool
    tries: int = 0
    wrong_in_a_row: int = 0

    @property
    def may_try(self) -> bool:
        """Whether the draft may be tried again."""
        return self.tries < self.tries_per_draft

    @property
    def pause_factor(self) -> int:
        """How many times the set pause must have passed."""
        return min(LONGEST_PAUSE_FACTOR, 2 ** max(0, self.wrong_in_a_row - 1)) if self.adaptive else 1

    def begin_draft(self) -> None:
        """Take it that a new draft begins."""
        self.tries = 0

    def begun(self) -> None:
        """Take it that an answer is begun: a wrong guess, until it comes true."""
        self.tries += 1
        self.wrong_in_a_row += 1

    def came_true(self) -> None:
        """Take it that SUBMIT asks for what was begun."""
        self.wrong_in_a_row = 0
