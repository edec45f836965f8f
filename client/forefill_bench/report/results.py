"""The cost of one SUBMIT and of one plain generation, as rows of the result file."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from forefill_client.outcomes import GenerationSource
from forefill_client.report import Report


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; times are seconds on the client's clock."""

    text: str
    asked_at: float
    first_token_at: float
    ended_at: float
    #: When each piece of text came.
    pieces_at: tuple[float, ...]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    source: str

    @property
    def gaps_ms(self) -> list[float]:
        """Milliseconds from each piece of text to the next."""
        return gaps_ms(self.pieces_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One SUBMIT as its user saw it. `ttft_ms` and `answer_ms` count from the instant when Enter was due."""

    text: str = ""
    ttft_ms: float | None = None
    answer_ms: float | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    source: str = ""
    #: Delay of our own client in pressing Enter; part of `ttft_ms`.
    late_ms: float = 0.0
    #: Requests that vLLM got for it: generation, warms, pre-generations, but not those that prepared it.
    requests_sent: int = 1
    #: Prompt tokens computed before Enter, and those of them that the answer did not find.
    warm_computed_tokens: int = 0
    warm_wasted_tokens: int = 0
    #: Tokens of answers generated before Enter, and those of them that were thrown away.
    pregenerated_tokens: int = 0
    discarded_tokens: int = 0
    #: Answers begun before Enter.
    begun: int = 0
    #: Engine milliseconds, as the server booked them: of what was begun and thrown away, of what was begun and adopted,
    #: and of the answer.
    wasted_engine_ms: float = 0.0
    adopted_engine_ms: float = 0.0
    answer_engine_ms: float = 0.0
    #: From each piece of text to the next.
    gaps_ms: tuple[float, ...] = ()
    #: The reason why there is no answer, "" if there is one.
    error: str = ""

    @property
    def is_adopted(self) -> bool:
        """Whether the answer was begun before Enter."""
        return self.source == GenerationSource.PREGENERATED


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One SUBMIT: its place in the run, and its cost."""

    workload: str
    typists: int
    arm: str
    query: str
    index: int
    turn: int
    served: Served

    def as_json(self) -> dict[str, Any]:
        """Return it for programs; the answer's text is left out."""
        place = {name: getattr(self, name) for name in ("workload", "typists", "arm", "query", "index", "turn")}
        return place | _rounded({k: v for k, v in dataclasses.asdict(self.served).items() if k != "text"})


@dataclass(frozen=True, slots=True)
class BackgroundRow:
    """One plain generation of the background traffic; times count from the instant when it was due."""

    workload: str
    typists: int
    arm: str
    index: int
    ttft_ms: float | None = None
    answer_ms: float | None = None
    #: From each piece of text to the next.
    gaps_ms: tuple[float, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return _rounded(dataclasses.asdict(self))


def gaps_ms(instants: Sequence[float]) -> list[float]:
    """Return the milliseconds from each instant, in seconds, to the next."""
    return [(later - earlier) * 1000 for earlier, later in pairwise(instants)]


def from_report(
    text: str,
    report: Report,
    *,
    late_seconds: float,
    naive: "NaiveWarms | None" = None,
    pieces_at: Sequence[float] = (),
) -> Served:
    """Return the cost of an answer through forefill, from its report and the instants of its pieces of text."""
    ledger = report.ledger
    wasted = ledger.edited_away_tokens + ledger.evicted_tokens + ledger.abandoned_tokens
    naive = naive or NaiveWarms()
    return Served(
        text=text,
        ttft_ms=(late_seconds + report.ttft_seconds) * 1000,
        answer_ms=(late_seconds + report.total_seconds) * 1000,
        prompt_tokens=report.prompt_tokens,
        cached_tokens=report.cached_tokens,
        completion_tokens=report.completion_tokens,
        source=str(report.source),
        late_ms=late_seconds * 1000,
        requests_sent=1 + ledger.warms + ledger.pregenerations + naive.requests,
        warm_computed_tokens=ledger.computed_tokens + naive.computed_tokens,
        warm_wasted_tokens=wasted + max(0, naive.computed_tokens - report.cached_tokens),
        pregenerated_tokens=ledger.pregenerated_tokens,
        discarded_tokens=ledger.discarded_tokens,
        begun=ledger.pregenerations,
        wasted_engine_ms=ledger.wasted_engine_ms,
        adopted_engine_ms=ledger.adopted_engine_ms,
        answer_engine_ms=ledger.answer_engine_ms,
        gaps_ms=tuple(gaps_ms(pieces_at)),
    )


def from_reply(reply: Reply, due_at: float) -> Served:
    """Return the cost of a plain generation; times count from `due_at`."""
    return Served(
        text=reply.text,
        ttft_ms=(reply.first_token_at - due_at) * 1000,
        answer_ms=(reply.ended_at - due_at) * 1000,
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        completion_tokens=reply.completion_tokens,
        source=reply.source,
        late_ms=(reply.asked_at - due_at) * 1000,
        gaps_ms=tuple(reply.gaps_ms),
    )


@dataclass(slots=True)
class NaiveWarms:
    """The cost of the naive arm's own warming."""

    requests: int = 0
    computed_tokens: int = 0

    def add(self, reply: Reply) -> None:
        """Count one that was answered."""
        self.computed_tokens += reply.prompt_tokens - reply.cached_tokens


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _rounded_value(value) for name, value in fields.items()}


def _rounded_value(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, tuple):
        return [_rounded_value(part) for part in value]
    return value
