"""A tiny benchmark on real vLLM: what each arm finds cached is what its name says, and the file has its shape."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from forefill_bench.bench_command import run
from forefill_bench.bench_options import BenchCommand
from forefill_bench.typing.schedule import Pace
from forefill_client.access_flags import Access
from forefill_client.server_flags import ServerChoice
from forefill_service.server import RunningServer

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

ARMS_THAT_WARM = ("typed", "pregen")
OTHER_ARMS = ("cold", "static", "naive", "oracle")
WORKLOADS = ("context", "paste")
BLOCK_SIZE = 32
LETTERS = 50
"""Fewer than any query of the sample has."""


@pytest.mark.timeout(900)
async def test_each_arm_finds_cached_what_its_name_says(embedded_server: RunningServer, tmp_path: Path) -> None:
    command = tiny(embedded_server, tmp_path)
    cold = await results_of(replace(command, workloads=("context",), arms=("cold",)))
    cold_ms = cold["summary"]["context"]["1"]["cold"]["ttft_ms"]["p50"]
    # Where typing warms, it lasts three times as long as this machine computes the prompt, or more.
    slow_enough = replace(command, mean_delay_ms=max(20.0, 3 * cold_ms / LETTERS))
    slow = await results_of(replace(slow_enough, workloads=WORKLOADS, arms=ARMS_THAT_WARM))
    fast = await results_of(replace(command, workloads=WORKLOADS, arms=OTHER_ARMS))
    summary = {workload: fast["summary"][workload]["1"] | slow["summary"][workload]["1"] for workload in WORKLOADS}
    for results in (slow, fast):
        assert {(row["workload"], row["typists"]) for row in results["requests"]} == {("context", 1), ("paste", 1)}
    for arms in summary.values():
        prompt = arms["cold"]["prompt_tokens"]["p50"]
        cached = {arm: figures["cached_tokens"]["p50"] for arm, figures in arms.items()}
        assert {figures["prompt_tokens"]["p50"] for figures in arms.values()} == {prompt}
        assert cached["cold"] == 0
        assert cached["oracle"] == (prompt - 1) // BLOCK_SIZE * BLOCK_SIZE
        assert cached["static"] <= cached["typed"] <= cached["oracle"]
    assert summary["context"]["static"]["cached_tokens"]["p50"] > 1000
    assert summary["paste"]["typed"]["cached_tokens"]["p50"] > 700


async def test_load_is_answered_beside_others(embedded_server: RunningServer, tmp_path: Path) -> None:
    arms = ("cold", "typed", "pregen")
    results = await results_of(replace(tiny(embedded_server, tmp_path), workloads=("load",), arms=arms))
    assert {(row["workload"], row["typists"], row["arm"]) for row in results["requests"]} == {
        ("load", 2, arm) for arm in arms
    }
    assert {row["arm"] for row in results["background"]} == set(arms)


def tiny(server: RunningServer, folder: Path) -> BenchCommand:
    return BenchCommand(
        server=ServerChoice(Access(target=server.address)),
        queries=1,
        mean_delay_ms=20.0,
        typists=(2,),
        pace=Pace(seconds=3.0, cycle_seconds=3.0, background_rate=1.0, mean_delay_ms=20.0),
        pause_ms=500.0,
        max_tokens=4,
        json_file=folder / "out.json",
    )


async def results_of(command: BenchCommand) -> dict[str, Any]:
    assert await run(command) == 0
    assert command.json_file
    results: dict[str, Any] = json.loads(command.json_file.read_text())
    assert list(results) == ["meta", "requests", "background", "summary"]
    assert not [row["error"] for row in results["requests"] + results["background"] if row["error"]]
    return results
