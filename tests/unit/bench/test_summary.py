"""The figures of a run's rows, and the tables of them."""

import json
from typing import Any

import pytest
from forefill_bench.report.results import BackgroundRow, RequestRow, Served
from forefill_bench.report.summary import summarise
from forefill_bench.report.table import tables
from forefill_client.terminal import columns


def row(
    arm: str, ttft_ms: float | None, *, workload: str = "context", typists: int = 1, turn: int = 0, **told: Any
) -> RequestRow:
    error = "" if ttft_ms is not None else "the engine died"
    served = Served(
        ttft_ms=ttft_ms, answer_ms=ttft_ms and ttft_ms + 100, prompt_tokens=1200, source="warm", error=error, **told
    )
    return RequestRow(workload, typists, arm, "Show me all", 0, turn, served)


def neighbour(arm: str, ttft_ms: float, *gaps_ms: float) -> BackgroundRow:
    return BackgroundRow("load", 4, arm, 0, ttft_ms=ttft_ms, answer_ms=ttft_ms + sum(gaps_ms), gaps_ms=gaps_ms)


ALONE = [
    *(row("cold", ms) for ms in (900.0, 1000.0, 1100.0)),
    *(row("static", ms, cached_tokens=1184) for ms in (90.0, 100.0, 110.0)),
    *(
        row("typed", ms, cached_tokens=1216, requests_sent=4, warm_computed_tokens=1000, warm_wasted_tokens=50)
        for ms in (40.0, 50.0, 60.0)
    ),
    row("typed", None),
]
LOADED = [
    row(arm, ms, workload="load", typists=4) for arm, ms in (("cold", 2000.0), ("typed", 40.0), ("direct", 1900.0))
]
NEIGHBOURS = [
    *(neighbour("direct", 400.0, 20.0, 20.0, 200.0) for _ in range(5)),
    *(neighbour("typed", 100.0, 20.0, 20.0, 50.0) for _ in range(5)),
    BackgroundRow("load", 4, "typed", 9, error="refused"),
]
SUMMARY = summarise(ALONE + LOADED, NEIGHBOURS, seed=1)


def test_it_is_told_by_workload_typists_and_arm() -> None:
    assert {
        (workload, typists, arm)
        for workload, cells in SUMMARY.items()
        for typists, arms in cells.items()
        for arm in arms
    } == {
        *(("context", "1", arm) for arm in ("cold", "static", "typed")),
        *(("load", "4", arm) for arm in ("cold", "typed", "direct")),
    }
    typed = SUMMARY["context"]["1"]["typed"]
    assert (typed["ttft_ms"]["p50"], typed["answer_ms"]["p50"], typed["cached_tokens"]["p50"]) == (50.0, 150.0, 1216)
    assert json.loads(json.dumps(SUMMARY)) == SUMMARY


def test_typed_is_compared_with_static_as_well_as_with_cold() -> None:
    faster = SUMMARY["context"]["1"]["typed"]["times_faster"]
    assert (faster["than_cold"]["p50"], faster["than_static"]["p50"]) == (20.0, 2.0)
    low, high = faster["than_cold"]["p50_interval"]
    assert low <= 20.0 <= high
    assert "than_cold" not in SUMMARY["context"]["1"]["cold"]["times_faster"]


def test_a_request_without_an_answer_is_a_failure_and_no_time() -> None:
    typed = SUMMARY["context"]["1"]["typed"]
    assert (typed["requests"], typed["failures"], typed["ttft_ms"]["n"]) == (4, 1, 3)


def test_the_warm_tokens_add_up() -> None:
    typed = SUMMARY["context"]["1"]["typed"]
    assert typed["warm_tokens"] == {"computed": 3000, "used": 2850, "wasted": 150, "wasted_share": 0.05}
    assert SUMMARY["context"]["1"]["cold"]["warm_tokens"]["wasted_share"] is None
    assert typed["requests_sent"]["mean"] == 4
    assert typed["sources"] == {"warm": 3}


def test_the_neighbours_are_compared_with_plain_vllms() -> None:
    told = SUMMARY["load"]["4"]["typed"]["background"]
    assert (told["requests"], told["failures"], told["gap_ms"]["n"]) == (6, 1, 15)
    against = told["against_direct"]
    assert (against["ttft_ms"]["p95"], against["gap_ms"]["p99"], against["gap_ms"]["p95"]) == (0.25, 0.25, 0.25)
    assert against["answer_ms"]["mean"] == pytest.approx(190 / 640, abs=1e-4)
    assert "against_direct" not in SUMMARY["load"]["4"]["direct"]["background"]
    assert "background" not in SUMMARY["load"]["4"]["cold"]


def test_every_turn_is_told_by_itself() -> None:
    rows = [row("typed", 10.0 * (turn + 1), workload="turns", turn=turn) for turn in range(3)]
    told = summarise(rows, [], 1)["turns"]["1"]["typed"]
    assert {turn: spread["p50"] for turn, spread in told["turns"].items()} == {"1": 10.0, "2": 20.0, "3": 30.0}


def test_an_arm_that_never_answered_is_shown_as_such() -> None:
    summary = summarise([row("typed", None), row("cold", 5.0)], [BackgroundRow("load", 1, "cold", 0, error="x")], 1)
    assert summary["context"]["1"]["typed"]["ttft_ms"] is None
    assert "typed     no answer in 1 requests" in tables(summary)


def test_no_rows_make_an_empty_summary() -> None:
    assert summarise([], [], 1) == {}


def test_the_tables_fit_100_columns_and_name_both_comparisons() -> None:
    text = tables(SUMMARY)
    assert max(columns(line) for line in text.splitlines()) <= 100
    typed = next(line for line in text.splitlines() if line.startswith("typed"))
    assert typed.split()[-2:] == ["20.0", "2.0"]
    assert "typed: 1 of 4 requests FAILED" in text
    assert "plain generations beside 4 typists" in text


def test_what_forefill_adds_is_told() -> None:
    rows = [row("oracle", 52.0, workload="overhead"), row("direct", 50.5, workload="overhead")]
    assert "forefill adds +1.5 ms" in tables(summarise(rows, [], 1))
    rows.append(row("remote", 55.0, workload="overhead"))
    assert "forefill in front of it adds +4.5 ms" in tables(summarise(rows, [], 1))


def test_a_row_for_programs_has_what_was_asked_and_what_it_cost_and_no_answer() -> None:
    told = ALONE[0].as_json()
    assert list(told)[:5] == ["workload", "typists", "arm", "query", "index"]
    assert {"ttft_ms", "answer_ms", "prompt_tokens", "cached_tokens", "source", "error"} <= set(told)
    assert "text" not in told
    assert NEIGHBOURS[0].as_json()["gaps_ms"] == [20.0, 20.0, 200.0]
