"""Prometheus metrics for the operator, in the units that their names give. They hold nothing that was typed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from prometheus_client import CollectorRegistry, Gauge

from ..engine import Priority
from ..errors import Reason
from ..scheduling.admission import Waited
from ..session.events import KeystrokeEvent, Open, Unknown
from ..session.ledger import Balance
from ..session.responses import FlushOutcome, ShedReason, Source
from . import metric_table as table
from .metric_table import LEDGER_ROWS, PREGENERATED_ROWS, label_of
from .replicas import Replica

WarmOutcome = Literal["computed", "made_way", "aborted", "no_room", "slow", "lost", "refused", "failed"]


class Metrics:
    """The metrics of one server, in their own registry; `metric_table` says what each of them means."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._streams = table.STREAMS.gauge(registry)
        self._sessions = table.SESSIONS.gauge(registry)
        self._max_sessions = table.MAX_SESSIONS.gauge(registry)
        self._stream_ends = table.STREAM_ENDS.counter(registry)
        events = table.EVENTS.counter(registry)
        self._events = {kind: events.labels(label) for kind, label in table.EVENTS_BY_KIND.items()}
        self._errors = table.ERRORS.counter(registry)
        self._flushes = table.FLUSHES.counter(registry)
        self._sheds = table.SHEDS.counter(registry)
        self._warms = table.WARMS.counter(registry)
        self._warm_tokens = table.WARM_TOKENS.counter(registry)
        self._pregenerations = table.PREGENERATIONS.counter(registry)
        self._pregenerated_tokens = table.PREGENERATED_TOKENS.counter(registry)
        self._pregeneration_outcomes = table.PREGENERATION_OUTCOMES.counter(registry)
        self._pregeneration_engine_seconds = table.PREGENERATION_ENGINE_SECONDS.counter(registry)
        self._generations = table.GENERATIONS.counter(registry)
        self._ttft = table.TTFT.histogram(registry)
        self._lost = table.GENERATIONS_LOST.counter(registry)
        self._answer_engine_seconds = table.ANSWER_ENGINE_SECONDS.counter(registry)
        self._hand_offs = table.HAND_OFFS.counter(registry)
        self._turns = table.TURNS.counter(registry)
        self._admissions = table.ADMISSIONS.counter(registry)
        self._admission_wait = table.ADMISSION_WAIT.histogram(registry)
        self._died = table.ENGINE_DIED.gauge(registry)
        self._engine_state = table.ENGINE_STATE.gauge(registry)
        self._of_replicas: dict[Gauge, Callable[[Replica], float]] = {
            table.ADMISSION_WAITING.gauge(registry): lambda replica: replica.admission.waiting,
            table.PRESSURE.gauge(registry): lambda replica: replica.admission.pressure,
            table.SPECULATIVE.gauge(registry): lambda replica: replica.admission.speculative,
            table.ANSWERING.gauge(registry): lambda replica: replica.admission.generations,
            table.ENGINE_RUNNING.gauge(registry): lambda replica: replica.engine.load.running,
            table.ENGINE_WAITING.gauge(registry): lambda replica: replica.engine.load.waiting,
            table.CACHE_USAGE.gauge(registry): lambda replica: replica.engine.load.cache_usage,
            table.REPLICA_UP.gauge(registry): lambda replica: replica.up,
            table.INERT.gauge(registry): lambda replica: replica.inert,
        }

    def watch(self, replicas: Sequence[Replica]) -> None:
        """Report the state of these replicas whenever the metrics are read."""
        for replica in replicas:
            for gauge, asked in self._of_replicas.items():
                gauge.labels(replica.name).set_function(partial(asked, replica))
            for state in table.ENGINE_STATES:
                self._engine_state.labels(replica.name, state).set_function(partial(_is_in, replica, state))
            for outcome in table.GENERATIONS_LOST.labels["outcome"]:
                self._lost.labels(replica.name, outcome)

    def limited(self, max_sessions: int) -> None:
        """Report how many sessions may be open at once."""
        self._max_sessions.set(max_sessions)

    def watch_death(self, died: Callable[[], bool]) -> None:
        """Report whether the engine has died whenever the metrics are read."""
        self._died.set_function(died)

    def stream_began(self) -> None:
        """Count a stream as open."""
        self._streams.inc()

    def stream_ended(self, how: str) -> None:
        """Count a stream as ended: ENDED, CANCELLED, or the label of a reason."""
        self._streams.dec()
        self._stream_ends.labels(how).inc()

    def opened(self) -> None:
        """Count a session as open."""
        self._sessions.inc()

    def closed(self) -> None:
        """Count a session as closed."""
        self._sessions.dec()

    def received(self, event: Open | KeystrokeEvent | Unknown) -> None:
        """Count an event."""
        kind = type(event.kind) if isinstance(event, KeystrokeEvent) else type(event)
        self._events[kind].inc()

    def lost(self, replica: str, *, retried: bool) -> None:
        """Count a generation that failed with its engine before the first token."""
        self._lost.labels(replica, "retried" if retried else "failed").inc()

    def flushed(self, outcome: FlushOutcome, shed_reason: ShedReason = ShedReason.UNSPECIFIED) -> None:
        """Count the answer to a FLUSH."""
        self._flushes.labels(label_of(outcome)).inc()
        if outcome is FlushOutcome.SHED:
            self._sheds.labels(label_of(shed_reason)).inc()

    def warmed(self, outcome: WarmOutcome) -> None:
        """Count a warm that was sent to the engine, at its end."""
        self._warms.labels(outcome).inc()

    def waited(self, priority: Priority, waited: Waited, seconds: float) -> None:
        """Count how long speculative work has waited for the engine, and what came of it."""
        work = label_of(priority)
        self._admissions.labels(work, label_of(waited)).inc()
        self._admission_wait.labels(work).observe(seconds)

    def rendered(self, verdict: str) -> None:
        """Count a turn whose rendering was compared with that of the engine's chat endpoint."""
        self._turns.labels(verdict).inc()

    def started(self, ttft_seconds: float, source: Source) -> None:
        """Count the first token of an answer."""
        name = label_of(source)
        self._generations.labels(name).inc()
        self._ttft.labels(name).observe(ttft_seconds)

    def handed_off(self) -> None:
        """Count an answer that the application asks for itself."""
        self._hand_offs.inc()

    def settled(self, balance: Balance) -> None:
        """Count how the warmed and pre-generated tokens of a turn were used, and its engine time."""
        for row in LEDGER_ROWS:
            self._warm_tokens.labels(row).inc(getattr(balance, row))
        self._pregenerations.inc(balance.pregenerations)
        for row in PREGENERATED_ROWS:
            self._pregenerated_tokens.labels(row).inc(getattr(balance, row))
        for counted in balance.outcomes:
            outcome = label_of(counted.outcome)
            self._pregeneration_outcomes.labels(outcome).inc(counted.count)
            self._pregeneration_engine_seconds.labels(outcome).inc(counted.engine_seconds)
        self._answer_engine_seconds.inc(balance.answer_engine_seconds)

    def refused(self, reason: Reason) -> None:
        """Count an error."""
        self._errors.labels(label_of(reason)).inc()


def _is_in(replica: Replica, state: str) -> bool:
    if not replica.engine.up:
        return state == "down"
    return state == ("up" if replica.ready else "untested")
