"""Prometheus metrics as the operator reads them."""

from typing import Any

from forefill_service.engine import EngineLoad, FakeEngine
from forefill_service.errors import Reason
from forefill_service.fleet.backend import Backend
from forefill_service.fleet.metrics import Metrics
from forefill_service.session.ledger import Balance, PregenerationCount, PregenerationOutcome
from forefill_service.session.responses import FlushOutcome, ShedReason, Source
from forefill_service.settings import Settings
from prometheus_client import generate_latest


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
    metrics.settled(Balance(warms=3, used=40, edited_away=8, evicted=4, abandoned=2))
    metrics.settled(Balance(warms=1, abandoned=16))
    assert value(metrics, "warms_total") == 4
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


def test_every_metric_has_help_and_the_project_s_prefix() -> None:
    lines = generate_latest(Metrics().registry).decode().splitlines()
    helped = [line.split(maxsplit=3) for line in lines if line.startswith("# HELP")]
    assert helped
    assert all(name.startswith("forefill_") and text for _, _, name, text in helped)
