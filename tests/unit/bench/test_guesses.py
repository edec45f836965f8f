"""What was begun before Enter: its figures, and their table."""

from dataclasses import replace

import pytest
from forefill_bench.report.guesses import guesses
from forefill_bench.report.results import RequestRow, Served, from_report
from forefill_bench.report.summary import summarise
from forefill_bench.report.table import tables
from forefill_client.outcomes import FinishReason, GenerationSource
from forefill_client.report import Ledger, Report
from forefill_client.terminal import columns


def adopted(ttft_ms: float = 2.0, *gaps_ms: float) -> Served:
    return Served(
        ttft_ms=ttft_ms,
        answer_ms=100.0,
        source="pre-generated",
        begun=2,
        wasted_engine_ms=20.0,
        adopted_engine_ms=30.0,
        answer_engine_ms=100.0,
        gaps_ms=gaps_ms,
    )


def other(ttft_ms: float = 90.0, *gaps_ms: float) -> Served:
    return Served(
        ttft_ms=ttft_ms,
        answer_ms=200.0,
        source="warm",
        begun=1,
        wasted_engine_ms=30.0,
        answer_engine_ms=100.0,
        gaps_ms=gaps_ms,
    )


SERVED = [adopted(2.0, 10.0, 45.0), adopted(3.0, 12.0), adopted(4.0), other(90.0, *[20.0] * 99, 40.0)]


def test_shares_and_times() -> None:
    told = guesses(SERVED)
    assert (told["adopted"], told["adopted_share"], told["begun"]) == (3, 0.75, 7)
    assert told["waste"] == pytest.approx(90 / 400)
    assert (told["adopted_engine_ms"], told["answer_engine_ms"]) == (90.0, 400.0)
    assert told["ttft_p50_ms"] == {"adopted": 3.0, "others": 90.0}
    assert told["largest_gap_after_adoption_ms"] == 45.0
    assert 20.0 <= told["gap_p99_of_others_ms"] <= 40.0


def test_what_was_not_measured_is_none() -> None:
    told = guesses([Served(ttft_ms=1.0, source="warm")])
    assert (told["waste"], told["largest_gap_after_adoption_ms"], told["gap_p99_of_others_ms"]) == (None, None, None)
    assert guesses([])["adopted_share"] is None


def rows(workload: str) -> list[RequestRow]:
    by_arm = {
        "pregen": SERVED,
        "oracle": [replace(other(60.0), begun=0, wasted_engine_ms=0.0, answer_engine_ms=0.0) for _ in range(4)],
    }
    return [
        RequestRow(workload, 2, arm, "a message", 0, turn, served)
        for arm, served_all in by_arm.items()
        for turn, served in enumerate(served_all)
    ]


def test_the_table_of_people_has_them_and_that_of_others_has_not() -> None:
    text = tables(summarise(rows("people"), [], 1))
    assert max(columns(line) for line in text.splitlines()) <= 100
    assert "2 typists" in text
    [pregen] = [line for line in text.splitlines() if line.startswith("pregen ") and "%" in line]
    assert pregen.split()[4:8] == ["75%", "1.8", "22%", "45.0"]
    assert pregen.split()[-1] == "1.29"
    [oracle] = [line for line in text.splitlines() if line.startswith("oracle ") and "60.0" in line]
    assert "%" not in oracle
    others = summarise(rows("context"), [], 1)
    assert "guesses" not in others["context"]["2"]["pregen"]
    assert "adopted" not in tables(others)


def test_the_ledgers_engine_times_and_the_gaps_come_from_the_report() -> None:
    ledger = Ledger(
        warms=1,
        computed_tokens=0,
        used_tokens=0,
        edited_away_tokens=0,
        evicted_tokens=0,
        abandoned_tokens=0,
        pregenerations=3,
    )
    report = Report(
        ttft_seconds=0.001,
        server_ttft_seconds=0.001,
        total_seconds=0.1,
        prompt_tokens=10,
        cached_tokens=0,
        completion_tokens=2,
        source=GenerationSource.PREGENERATED,
        finish_reason=FinishReason.STOP,
        ledger=ledger,
    )
    served = from_report("ab", report, late_seconds=0.0, pieces_at=(1.0, 1.02, 1.05))
    assert served.is_adopted
    assert served.begun == 3
    assert served.gaps_ms == pytest.approx((20.0, 30.0))
