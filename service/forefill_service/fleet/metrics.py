"""Prometheus metrics for the operator, in the units that their names give. They hold nothing that was typed."""

from collections.abc import Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ..errors import Reason
from ..session.ledger import Balance
from ..session.responses import FlushOutcome, ShedReason, Source
from .replicas import Replica

_TTFT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one server, in their own registry."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._sessions = Gauge("forefill_sessions", "Open sessions.", registry=registry)
        self._flushes = Counter("forefill_flushes", "FLUSH events by outcome.", ["outcome"], registry=registry)
        self._generations = Counter(
            "forefill_generations",
            "Answers started, by what they started on: cold, warm or pregenerated.",
            ["source"],
            registry=registry,
        )
        self._ttft = Histogram(
            "forefill_ttft_seconds",
            "Seconds from the receipt of SUBMIT to the first token.",
            ["source"],
            buckets=_TTFT_BUCKETS,
            registry=registry,
        )
        self._warms = Counter("forefill_warms", "Warm requests sent to the engine.", registry=registry)
        self._warm_tokens = Counter(
            "forefill_warm_tokens", "Tokens computed by warms, by how they were used.", ["row"], registry=registry
        )
        self._sheds = Counter(
            "forefill_sheds", "FLUSH events that were not warmed, by reason.", ["reason"], registry=registry
        )
        self._pressure = Gauge(
            "forefill_pressure",
            "Speculative work that is shed now: 0 none, 1 warms, 2 pre-generations too.",
            ["replica"],
            registry=registry,
        )
        self._speculative = Gauge(
            "forefill_speculative_requests",
            "Warms and pre-generations in the engine.",
            ["replica"],
            registry=registry,
        )
        self._up = Gauge("forefill_replica_up", "1 if the engine answers, else 0.", ["replica"], registry=registry)
        self._lost = Counter(
            "forefill_generations_lost",
            "Generations that failed with their engine before the first token, by outcome: retried or failed.",
            ["replica", "outcome"],
            registry=registry,
        )
        self._pregenerations = Counter("forefill_pregenerations", "Answers started before SUBMIT.", registry=registry)
        self._pregenerated_tokens = Counter(
            "forefill_pregenerated_tokens",
            "Tokens generated before SUBMIT, by how they were used.",
            ["row"],
            registry=registry,
        )
        self._pregeneration_outcomes = Counter(
            "forefill_pregeneration_outcomes",
            "Answers started before SUBMIT whose turn is over, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self._pregeneration_engine_seconds = Counter(
            "forefill_pregeneration_engine_seconds",
            "Engine time of answers before SUBMIT, by what became of them; all but adopted was wasted.",
            ["outcome"],
            registry=registry,
        )
        self._answer_engine_seconds = Counter(
            "forefill_answer_engine_seconds",
            "Engine time of answers, with what was adopted of it.",
            registry=registry,
        )
        self._hand_offs = Counter(
            "forefill_hand_offs", "Answers that applications asked the engine for themselves.", registry=registry
        )
        self._errors = Counter(
            "forefill_errors", "Refused events and streams, by reason.", ["reason"], registry=registry
        )
        self._turns = Counter(
            "forefill_turns",
            "Turns by how the fast path compares with the engine's chat endpoint: agrees, differs or unknown.",
            ["rendering"],
            registry=registry,
        )
        self._inert = Gauge(
            "forefill_warming_inert",
            "1 if warming does nothing; the log and every Opened say why.",
            ["replica"],
            registry=registry,
        )

    def opened(self) -> None:
        """Count a session as open."""
        self._sessions.inc()

    def closed(self) -> None:
        """Count a session as closed."""
        self._sessions.dec()

    def watch(self, replicas: Sequence[Replica]) -> None:
        """Report the state of these replicas whenever the metrics are read."""
        for replica in replicas:
            admission = replica.admission
            self._pressure.labels(replica.name).set_function(partial(getattr, admission, "pressure"))
            self._speculative.labels(replica.name).set_function(partial(getattr, admission, "speculative"))
            self._inert.labels(replica.name).set_function(partial(getattr, replica, "inert"))
            self._up.labels(replica.name).set_function(partial(getattr, replica, "up"))

    def lost(self, replica: str, *, retried: bool) -> None:
        """Count a generation that failed with its engine before the first token."""
        self._lost.labels(replica, "retried" if retried else "failed").inc()

    def flushed(self, outcome: FlushOutcome, shed_reason: ShedReason = ShedReason.UNSPECIFIED) -> None:
        """Count the answer to a FLUSH."""
        self._flushes.labels(outcome.name.lower()).inc()
        if outcome is FlushOutcome.SHED:
            self._sheds.labels(shed_reason.name.lower()).inc()

    def rendered(self, verdict: str) -> None:
        """Count a turn whose rendering was compared with that of the engine's chat endpoint."""
        self._turns.labels(verdict).inc()

    def started(self, ttft_seconds: float, source: Source) -> None:
        """Count the first token of an answer."""
        name = source.name.lower()
        self._generations.labels(name).inc()
        self._ttft.labels(name).observe(ttft_seconds)

    def handed_off(self) -> None:
        """Count an answer that the application asks for itself."""
        self._hand_offs.inc()

    def settled(self, balance: Balance) -> None:
        """Count how the warmed and pre-generated tokens of a turn were used, and its engine time."""
        self._warms.inc(balance.warms)
        for row in ("used", "edited_away", "evicted", "abandoned", "kept"):
            self._warm_tokens.labels(row).inc(getattr(balance, row))
        self._pregenerations.inc(balance.pregenerations)
        for row in ("adopted", "discarded"):
            self._pregenerated_tokens.labels(row).inc(getattr(balance, row))
        for counted in balance.outcomes:
            outcome = counted.outcome.name.lower()
            self._pregeneration_outcomes.labels(outcome).inc(counted.count)
            self._pregeneration_engine_seconds.labels(outcome).inc(counted.engine_seconds)
        self._answer_engine_seconds.inc(balance.answer_engine_seconds)

    def refused(self, reason: Reason) -> None:
        """Count an error."""
        self._errors.labels(reason.name.lower()).inc()
