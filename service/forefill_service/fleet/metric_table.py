"""Every metric: its name, its help, its labels and their values. `service/METRICS.md` is made from this table.

The values of a label are known here and few, so that whatever clients do, a server has the same series. Those of
`replica` are known at the start: one for each engine that the settings name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from typing import TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from ..errors import Reason
from ..scheduling.admission import Waited
from ..session.events import Kind, Open
from ..session.ledger import PregenerationOutcome
from ..session.responses import FlushOutcome, ShedReason, Source

T = TypeVar("T", bound=MetricWrapperBase)

PREFIX = "forefill_"
ENDED, CANCELLED = "ended", "cancelled"
"""How streams end that no reason ends: with END; or the client or its connection is gone, a frozen client included."""


def label_of(value: Enum) -> str:
    """Return a value of an enum as a label has it."""
    return value.name.lower()


def event_label(kind: type) -> str:
    """Return a kind of event as a label has it: CharAdd is char_add."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _labels(values: type[Enum]) -> tuple[str, ...]:
    return tuple(map(label_of, values))


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. The `labels` have these values; those of `replica` are the names of the engines."""

    name: str
    help: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    buckets: Sequence[float] = ()
    kind: str = "counter"

    def counter(self, registry: CollectorRegistry) -> Counter:
        """Make it, as a counter, in a registry."""
        return self._with_series(Counter(PREFIX + self.name, self.help, list(self.labels), registry=registry))

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """Make it, as a gauge, in a registry."""
        return self._with_series(Gauge(PREFIX + self.name, self.help, list(self.labels), registry=registry))

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        """Make it, as a histogram, in a registry."""
        name, labels = PREFIX + self.name, list(self.labels)
        return self._with_series(Histogram(name, self.help, labels, buckets=self.buckets, registry=registry))

    def series(self) -> Iterator[Sequence[str]]:
        """Yield the values of its labels that go together; none if they are known only once the engines are."""
        return iter(()) if REPLICA in self.labels else iter(product(*self.labels.values()))

    def _with_series(self, made: T) -> T:
        """Have all its series from the start, so that the first event is an increase and not a new series."""
        if self.labels:
            for values in self.series():
                made.labels(*values)
        return made


REPLICA = "replica"
_OF_REPLICA: dict[str, Sequence[str]] = {REPLICA: ()}
EVENTS_BY_KIND = {kind: event_label(kind) for kind in (Open, *get_args(Kind))}
WORKS = ("warm", "pregeneration")
WARM_OUTCOMES = ("computed", "made_way", "aborted", "no_room", "slow", "lost", "refused", "failed")
LEDGER_ROWS = ("used", "edited_away", "evicted", "abandoned", "kept")
PREGENERATED_ROWS = ("adopted", "discarded")
ENGINE_STATES = ("up", "down", "untested")

_TTFT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WAIT_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

STREAMS = Metric("streams", "Open streams, those included that have not sent Open yet.", kind="gauge")
SESSIONS = Metric("sessions", "Open sessions.", kind="gauge")
MAX_SESSIONS = Metric("max_sessions", "Most sessions open at once; more are refused.", kind="gauge")
STREAM_ENDS = Metric(
    "stream_ends",
    "Streams that have ended, by how: with END (ended), with their client or its connection gone or frozen "
    "(cancelled), or for a reason, which is the one that the client was given.",
    {"reason": (ENDED, CANCELLED, *_labels(Reason))},
)
EVENTS = Metric("events", "Messages from clients that could be read, by kind.", {"kind": (*EVENTS_BY_KIND.values(),)})
ERRORS = Metric("errors", "Refused events and streams, by reason.", {"reason": _labels(Reason)})
FLUSHES = Metric("flushes", "FLUSH events by outcome.", {"outcome": _labels(FlushOutcome)})
SHEDS = Metric("sheds", "FLUSH events that were not warmed, by reason.", {"reason": _labels(ShedReason)})
WARMS = Metric(
    "warms",
    "Warm requests to the engine, by outcome: computed; made_way for an answer before it ran; aborted, since something "
    "else was wanted; no_room in the engine; slow; lost with the engine; refused by it; failed otherwise.",
    {"outcome": WARM_OUTCOMES},
)
WARM_TOKENS = Metric("warm_tokens", "Tokens computed by warms, by how they were used.", {"row": LEDGER_ROWS})
PREGENERATIONS = Metric("pregenerations", "Answers started before SUBMIT.")
PREGENERATED_TOKENS = Metric(
    "pregenerated_tokens", "Tokens generated before SUBMIT, by how they were used.", {"row": PREGENERATED_ROWS}
)
PREGENERATION_OUTCOMES = Metric(
    "pregeneration_outcomes",
    "Answers started before SUBMIT whose turn is over, by what became of them.",
    {"outcome": _labels(PregenerationOutcome)},
)
PREGENERATION_ENGINE_SECONDS = Metric(
    "pregeneration_engine_seconds",
    "Engine time of answers before SUBMIT, by what became of them; all but adopted was wasted.",
    {"outcome": _labels(PregenerationOutcome)},
)
GENERATIONS = Metric(
    "generations",
    "Answers started, by what they started on: cold, warm or pregenerated.",
    {"source": _labels(Source)},
)
TTFT = Metric(
    "ttft_seconds",
    "Seconds from the receipt of SUBMIT to the first token.",
    {"source": _labels(Source)},
    _TTFT_BUCKETS,
    kind="histogram",
)
GENERATIONS_LOST = Metric(
    "generations_lost",
    "Generations that failed with their engine before the first token, by outcome: retried or failed.",
    _OF_REPLICA | {"outcome": ("retried", "failed")},
)
ANSWER_ENGINE_SECONDS = Metric("answer_engine_seconds", "Engine time of answers, with what was adopted of it.")
HAND_OFFS = Metric("hand_offs", "Answers that applications asked the engine for themselves.")
TURNS = Metric(
    "turns",
    "Turns by how the fast path compares with the engine's chat endpoint: agrees, differs or unknown.",
    {"rendering": ("agrees", "differs", "unknown")},
)
ADMISSIONS = Metric(
    "admissions",
    "Speculative work that asked for the engine, by outcome: admitted; unneeded by the time of its turn; shed; or "
    "given_up, since something else was wanted.",
    {"work": WORKS, "outcome": _labels(Waited)},
)
ADMISSION_WAIT = Metric(
    "admission_wait_seconds",
    "Seconds that speculative work waited for the engine, whatever the outcome.",
    {"work": WORKS},
    _WAIT_BUCKETS,
    kind="histogram",
)
ADMISSION_WAITING = Metric(
    "admission_waiting", "Speculative work that waits for the engine now.", _OF_REPLICA, kind="gauge"
)
PRESSURE = Metric(
    "pressure",
    "Speculative work that is shed now: 0 none, 1 warms, 2 pre-generations too.",
    _OF_REPLICA,
    kind="gauge",
)
SPECULATIVE = Metric("speculative_requests", "Warms and pre-generations in the engine.", _OF_REPLICA, kind="gauge")
ANSWERING = Metric("answering_requests", "Answers of our own in the engine.", _OF_REPLICA, kind="gauge")
ENGINE_RUNNING = Metric(
    "engine_running_requests", "Requests that the engine runs, by its own report.", _OF_REPLICA, kind="gauge"
)
ENGINE_WAITING = Metric(
    "engine_waiting_requests", "Requests that wait in the engine, by its own report.", _OF_REPLICA, kind="gauge"
)
CACHE_USAGE = Metric(
    "engine_cache_usage", "Share of the cache that running requests hold, from 0 to 1.", _OF_REPLICA, kind="gauge"
)
REPLICA_UP = Metric("replica_up", "1 if the engine answers, else 0.", _OF_REPLICA, kind="gauge")
ENGINE_STATE = Metric(
    "engine_state",
    "1 for the state of the engine, 0 for the others: up, down, or untested since it came up or restarted.",
    _OF_REPLICA | {"state": ENGINE_STATES},
    kind="gauge",
)
ENGINE_DIED = Metric(
    "engine_died", "1 once the engine has died or hangs for good: this server is about to end.", kind="gauge"
)
INERT = Metric(
    "warming_inert", "1 if warming does nothing; the log and every Opened say why.", _OF_REPLICA, kind="gauge"
)

TABLE = (
    *(STREAMS, SESSIONS, MAX_SESSIONS, STREAM_ENDS, EVENTS, ERRORS),
    *(FLUSHES, SHEDS, WARMS, WARM_TOKENS),
    *(PREGENERATIONS, PREGENERATED_TOKENS, PREGENERATION_OUTCOMES, PREGENERATION_ENGINE_SECONDS),
    *(GENERATIONS, TTFT, GENERATIONS_LOST, ANSWER_ENGINE_SECONDS, HAND_OFFS, TURNS),
    *(ADMISSIONS, ADMISSION_WAIT, ADMISSION_WAITING, PRESSURE, SPECULATIVE, ANSWERING),
    *(ENGINE_RUNNING, ENGINE_WAITING, CACHE_USAGE, REPLICA_UP, ENGINE_STATE, ENGINE_DIED, INERT),
)
"""All of them, in the order of the document."""
