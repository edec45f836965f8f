"""Prometheus metrics as the operator reads them."""

import asyncio
from typing import Any

from forefill_service.engine import EngineLoad, FakeEngine, Priority
from forefill_service.errors import Reason
from forefill_service.fleet.backend import Backend
from forefill_service.fleet.metric_table import ENGINE_STATES, TABLE
from forefill_service.fleet.metrics import Metrics
from forefill_service.scheduling.admission import Waited
from forefill_service.session.events import CharAdd, HandOff, KeystrokeEvent, Open, Unknown
from forefill_service.session.ledger import Balance, PregenerationCount, PregenerationOutcome
from forefill_service.session.responses import FlushOutcome, ShedReason, Source
from forefill_service.settings import Settings
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"forefill_{name}", labels)


async def unused(*_: Any) -> None:
    """Render nothing."""


def test_sessions_are_counted_in_and_out() -> None:
    metrics = Metrics()
    metrics.opened()
    metrics.opened()
    metrics.closed()
    assert value(metrics, "sessions") == 1


def test_the_limit_of_sessions_is_reported_beside_them() -> None:
    metrics = Metrics()
    Backend.of([FakeEngine(name="one")], Settings(max_sessions=7), metrics, unused)
    assert value(metrics, "max_sessions") == 7


def test_flushes_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics()
    for outcome in FlushOutcome:
        metrics.flushed(outcome)
    metrics.flushed(FlushOutcome.SHED, ShedReason.LOAD)
    assert value(metrics, "flushes_total", outcome="nothing_new") == 1
    assert value(metrics, "flushes_total", outcome="shed") == 2
    assert value(metrics, "sheds_total", reason="load") == 1


def test_what_is_shed_now_is_asked_for_when_it_is_read() -> None:
    metrics, engine = Metrics(), FakeEngine(name="one")
    Backend.of([engine], Settings(), metrics, unused)
    asked = ("pressure", "replica_up", "warming_inert")
    assert [value(metrics, name, replica="one") for name in asked] == [0, 1, 0]
    engine.load, engine.faults.down = EngineLoad(waiting=1000), True
    assert [value(metrics, name, replica="one") for name in asked] == [2, 0, 0]
    assert value(metrics, "speculative_requests", replica="one") == 0


def test_generations_that_an_engine_lost_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics()
    metrics.lost("one", retried=True)
    metrics.lost("one", retried=False)
    metrics.lost("two", retried=True)
    assert value(metrics, "generations_lost_total", replica="one", outcome="retried") == 1
    assert value(metrics, "generations_lost_total", replica="one", outcome="failed") == 1


def test_an_answer_is_cold_or_warm() -> None:
    metrics = Metrics()
    metrics.started(0.2, Source.COLD)
    metrics.started(0.03, Source.WARM)
    metrics.started(0.04, Source.WARM)
    assert value(metrics, "generations_total", source="cold") == 1
    assert value(metrics, "generations_total", source="warm") == 2
    assert value(metrics, "ttft_seconds_bucket", source="warm", le="0.025") == 0
    assert value(metrics, "ttft_seconds_bucket", source="warm", le="0.05") == 2
    assert value(metrics, "ttft_seconds_sum", source="cold") == 0.2


def test_every_row_of_the_books_is_counted() -> None:
    metrics = Metrics()
    metrics.settled(Balance(used=40, edited_away=8, evicted=4, abandoned=2))
    metrics.settled(Balance(abandoned=16))
    rows = {
        row: value(metrics, "warm_tokens_total", row=row) for row in ("used", "edited_away", "evicted", "abandoned")
    }
    assert rows == {"used": 40, "edited_away": 8, "evicted": 4, "abandoned": 18}


def test_begun_answers_are_counted_by_what_became_of_them_with_their_engine_time() -> None:
    metrics = Metrics()
    for outcome in PregenerationOutcome:
        row = PregenerationCount(outcome, count=2, tokens=3, engine_seconds=0.5)
        metrics.settled(Balance(pregenerations=2, outcomes=(row,), answer_engine_seconds=4))
    metrics.settled(
        Balance(
            pregenerations=1, outcomes=(PregenerationCount(PregenerationOutcome.EDITED, 1, tokens=1, engine_seconds=1),)
        )
    )
    names = [outcome.name.lower() for outcome in PregenerationOutcome]
    assert {name: value(metrics, "pregeneration_outcomes_total", outcome=name) for name in names} == {
        **dict.fromkeys(names, 2),
        "edited": 3,
    }
    assert value(metrics, "pregeneration_engine_seconds_total", outcome="adopted") == 0.5
    assert value(metrics, "pregeneration_engine_seconds_total", outcome="edited") == 1.5
    assert value(metrics, "answer_engine_seconds_total") == 4 * len(names)
    assert value(metrics, "pregenerations_total") == 2 * len(names) + 1


def test_errors_are_counted_by_reason() -> None:
    metrics = Metrics()
    metrics.refused(Reason.DRAFT_DIVERGED)
    assert value(metrics, "errors_total", reason="draft_diverged") == 1


def test_two_servers_have_metrics_of_their_own() -> None:
    one, other = Metrics(), Metrics()
    one.opened()
    assert value(other, "sessions") == 0


def test_warms_are_counted_by_outcome() -> None:
    metrics = Metrics()
    metrics.warmed("computed")
    metrics.warmed("made_way")
    metrics.warmed("computed")
    assert value(metrics, "warms_total", outcome="computed") == 2
    assert value(metrics, "warms_total", outcome="made_way") == 1


def test_waits_for_the_engine_are_counted_by_what_came_of_them_with_their_seconds() -> None:
    metrics = Metrics()
    metrics.waited(Priority.WARM, Waited.ADMITTED, 0.2)
    metrics.waited(Priority.WARM, Waited.SHED, 5)
    metrics.waited(Priority.PREGENERATION, Waited.GIVEN_UP, 1)
    assert value(metrics, "admissions_total", work="warm", outcome="admitted") == 1
    assert value(metrics, "admissions_total", work="warm", outcome="shed") == 1
    assert value(metrics, "admission_wait_seconds_sum", work="warm") == 5.2
    assert value(metrics, "admission_wait_seconds_count", work="pregeneration") == 1


def test_an_engine_is_in_one_state() -> None:
    metrics, engine = Metrics(), FakeEngine(name="one")
    [replica] = Backend.of([engine], Settings(), metrics, unused, ready=False).replicas.all

    def states() -> list[str]:
        return [state for state in ENGINE_STATES if value(metrics, "engine_state", replica="one", state=state)]

    assert states() == ["untested"]
    replica.ready = True
    assert states() == ["up"]
    engine.faults.down = True
    assert states() == ["down"]


def test_an_engine_s_own_report_of_its_load_is_passed_on() -> None:
    metrics, engine = Metrics(), FakeEngine(name="one")
    Backend.of([engine], Settings(), metrics, unused)
    engine.load = EngineLoad(running=3, waiting=2, cache_usage=0.5)
    asked = ("engine_running_requests", "engine_waiting_requests", "engine_cache_usage")
    assert [value(metrics, name, replica="one") for name in asked] == [3, 2, 0.5]


def test_the_death_of_the_engine_is_asked_for_when_it_is_read() -> None:
    metrics, died = Metrics(), asyncio.Event()
    metrics.watch_death(died.is_set)
    assert value(metrics, "engine_died") == 0
    died.set()
    assert value(metrics, "engine_died") == 1


def test_every_kind_of_event_is_counted() -> None:
    metrics = Metrics()
    for kind in (Open(), Unknown(), KeystrokeEvent(1, CharAdd("a")), KeystrokeEvent(2, HandOff())):
        metrics.received(kind)
    for label in ("open", "unknown", "char_add", "hand_off"):
        assert value(metrics, "events_total", kind=label) == 1


def test_the_table_is_what_is_scraped_and_every_series_is_there_from_the_start() -> None:
    metrics = Metrics()
    Backend.of([FakeEngine(name="one")], Settings(), metrics, unused)
    families = {
        family.name: family
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
        if not family.name.endswith("_created")
    }
    assert families.keys() == {f"forefill_{metric.name}" for metric in TABLE}
    for metric in TABLE:
        family = families[f"forefill_{metric.name}"]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        values = {name: set(known) or {"one"} for name, known in metric.labels.items()}
        seen: dict[str, set[str]] = {}
        for sample in family.samples:
            for name, label in sample.labels.items():
                seen.setdefault(name, set()).add(label)
        seen.pop("le", None)
        assert seen == values, metric.name
