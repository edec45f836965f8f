"""The books of a turn: where every token went that was computed ahead.

A warm computes the tokens from what the engine found cached to its end. When SUBMIT's prompt and the engine's count of
cached tokens are known, each of them ends in one row:

    not part of the prompt                         edited away
    part of it, found cached                       used: once, however often it was computed
    part of it otherwise                           evicted (or computed too late, twice, or at another place)
    the warm failed, or no answer has begun        abandoned
    computed again in a pause, to keep the rest    kept

If two computed the same token, it does not matter which of them counts as used: it is the same token of the same
prompt. An answer has used what it found once it has its first token, and may then end early: stopped by the user, or
with its engine.

A pre-generation computes the rest of a prompt as a warm does, and its tokens are counted in the same rows. What it
generates before SUBMIT ends in one of two: it became part of the answer (adopted), or it did not (discarded). The
pre-generation itself ends in one `PregenerationOutcome`, with its engine time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from ..chat.token_ids import TokenIds


@dataclass(frozen=True, slots=True)
class Entry:
    """The tokens from `start` to before the end of `prefix`, computed by one warm or pre-generation at a place."""

    prefix: TokenIds
    start: int
    place: object = None

    @property
    def tokens(self) -> int:
        """Tokens computed."""
        return max(0, len(self.prefix) - self.start)

    def part_of(self, prompt: TokenIds) -> range:
        """Return which of them are part of a prompt."""
        return range(self.start, min(self.prefix.common(prompt), len(self.prefix)))


class PregenerationOutcome(Enum):
    """What became of an answer that was begun before SUBMIT; the names are those on the wire."""

    ADOPTED = auto()
    """SUBMIT asked for exactly this, and the answer began with it."""
    EDITED = auto()
    """The draft changed."""
    SUBMITTED_OTHER = auto()
    """SUBMIT asked for something else."""
    REVOKED = auto()
    """It had to make way, or ran for as long as it may, and nothing of it could be kept."""
    FAILED = auto()
    """The engine failed."""
    UNUSED = auto()
    """It was not used for another reason: the session ended, or too little was there when SUBMIT asked for it."""


@dataclass(frozen=True, slots=True)
class PregenerationCount:
    """How many pre-generations had one outcome, and what they took before SUBMIT."""

    outcome: PregenerationOutcome
    count: int
    tokens: int
    engine_seconds: float


@dataclass(frozen=True, slots=True)
class Balance:
    """A settled ledger, in tokens and seconds of engine time.

    computed = used + edited_away + evicted + abandoned + kept; pregenerated = adopted + discarded. The outcomes, one
    entry for each that occurred, add up to `pregenerations` and `pregenerated`. `answer_engine_seconds` is the time of
    the whole answer, with what was adopted of it.
    """

    warms: int = 0
    used: int = 0
    edited_away: int = 0
    evicted: int = 0
    abandoned: int = 0
    kept: int = 0
    pregenerations: int = 0
    adopted: int = 0
    discarded: int = 0
    outcomes: tuple[PregenerationCount, ...] = ()
    answer_engine_seconds: float = 0

    @property
    def computed(self) -> int:
        """All prompt tokens that were computed ahead."""
        return self.used + self.edited_away + self.evicted + self.abandoned + self.kept

    @property
    def pregenerated(self) -> int:
        """All tokens that were generated ahead."""
        return self.adopted + self.discarded

    @property
    def adopted_engine_seconds(self) -> float:
        """Engine time before SUBMIT of what was adopted."""
        return sum(row.engine_seconds for row in self.outcomes if row.outcome is PregenerationOutcome.ADOPTED)

    @property
    def wasted_engine_seconds(self) -> float:
        """Engine time of the pre-generations that were not adopted."""
        return sum(row.engine_seconds for row in self.outcomes if row.outcome is not PregenerationOutcome.ADOPTED)


@dataclass(slots=True)
class Ledger:
    """The books of one turn, until they are closed: a turn has one, and the next turn another.

    Places are equal if one cache serves both.
    """

    entries: list[Entry] = field(default_factory=list)
    warms: int = 0
    lost: int = 0
    kept_tokens: int = 0
    adopted: int = 0
    discarded: int = 0
    outcomes: dict[PregenerationOutcome, PregenerationCount] = field(default_factory=dict)
    answer_engine_seconds: float = 0.0
    begun: tuple[TokenIds, int, object] | None = None
    closed: bool = False

    def warmed(self, prefix: TokenIds, cached_tokens: int, place: object = None) -> int:
        """Book a warm whose first `cached_tokens` the engine found cached; return the tokens it computed."""
        entry = Entry(prefix, cached_tokens, place)
        self.entries.append(entry)
        self.warms += 1
        return entry.tokens

    def failed(self, tokens: int) -> None:
        """Book a warm that failed: how much it computed is unknown, so all that it was to compute counts."""
        self.warms += 1
        self.lost += tokens

    def kept(self, tokens: int) -> int:
        """Book a warm that computed tokens only to use what is cached once more; return them."""
        self.warms += 1
        self.kept_tokens += tokens
        return tokens

    def pregenerated(
        self, prompt: TokenIds, cached_tokens: int | None, place: object = None, *, new_tokens: int = 0
    ) -> None:
        """Book a request of a pre-generation, which found the first `cached_tokens` of its prompt cached.

        None if it failed before the engine reported them: all of the `new_tokens` that it was to compute count.
        """
        if cached_tokens is None:
            self.lost += new_tokens
        else:
            self.entries.append(Entry(prompt, cached_tokens, place))

    def guessed(
        self, outcome: PregenerationOutcome, *, adopted: int = 0, discarded: int = 0, engine_seconds: float = 0.0
    ) -> None:
        """Book what became of a pre-generation, and the tokens that it generated before SUBMIT."""
        self.adopted += adopted
        self.discarded += discarded
        last = self.outcomes.get(outcome, PregenerationCount(outcome, 0, 0, 0.0))
        self.outcomes[outcome] = PregenerationCount(
            outcome, last.count + 1, last.tokens + adopted + discarded, last.engine_seconds + engine_seconds
        )

    def answered(self, engine_seconds: float) -> None:
        """Book the engine's time for the whole answer."""
        self.answer_engine_seconds += engine_seconds

    def began(self, prompt: TokenIds, cached_tokens: int, place: object = None) -> None:
        """Record that the answer to this prompt has its first token: unless another comes, the turn ends on it."""
        self.begun = (prompt, cached_tokens, place)

    def settle(self, prompt: TokenIds, cached_tokens: int, place: object = None) -> Balance:
        """Close the books on the submitted prompt, of which the engine found `cached_tokens` cached at a place.

        For an adopted answer that is all of it: the pre-generation computed what it did not find. Books that are closed
        already give an empty balance.
        """
        parts = [(entry.part_of(prompt), entry.place) for entry in self.entries]
        of_prompt = sum(len(part) for part, _ in parts)
        used = _covered(range(part.start, min(part.stop, cached_tokens)) for part, at in parts if at == place)
        edited_away = sum(entry.tokens for entry in self.entries) - of_prompt
        return self._close(Balance(self.warms, used, edited_away, of_prompt - used, self.lost, self.kept_tokens))

    def abandon(self) -> Balance:
        """Close the books of a turn that ends without a whole answer: on the last that began, if any did."""
        if self.begun is not None:
            return self.settle(*self.begun)
        lost = self.lost + sum(entry.tokens for entry in self.entries)
        return self._close(Balance(self.warms, abandoned=lost, kept=self.kept_tokens))

    def _close(self, balance: Balance) -> Balance:
        if self.closed:
            return Balance()
        self.closed = True
        return replace(
            balance,
            pregenerations=sum(row.count for row in self.outcomes.values()),
            adopted=self.adopted,
            discarded=self.discarded,
            outcomes=tuple(self.outcomes.values()),
            answer_engine_seconds=self.answer_engine_seconds,
        )


def _covered(spans: Iterable[range]) -> int:
    """Return how many tokens stand in one of these spans or more."""
    covered = end = 0
    for span in sorted(spans, key=lambda span: span.start):
        covered += max(0, span.stop - max(span.start, end))
        end = max(end, span.stop)
    return covered
