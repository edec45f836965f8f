"""A tiny benchmark on real vLLM: what each arm finds cached is what its name says, and the file has its shape."""

import json
from pathlib import Path

import pytest
from forefill_client.bench import BenchCommand, run
from forefill_client.bench.schedule import Pace
from forefill_service.server import RunningServer

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

ARMS = ("cold", "static", "naive", "typed", "pregen", "oracle")
BLOCK_SIZE = 32


async def test_a_tiny_run_on_real_vllm(embedded_server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    command = BenchCommand(
        target=embedded_server.address,
        workloads=("context", "paste", "load"),
        arms=ARMS,
        queries=1,
        mean_delay_ms=20.0,
        typists=(2,),
        pace=Pace(seconds=3.0, cycle_seconds=3.0, background_rate=1.0, mean_delay_ms=20.0),
        pause_ms=500.0,
        max_tokens=4,
        json_file=file,
    )
    assert await run(command) == 0
    results = json.loads(file.read_text())
    assert list(results) == ["meta", "requests", "background", "summary"]
    assert not [row["error"] for row in results["requests"] + results["background"] if row["error"]]
    assert {(row["workload"], row["typists"]) for row in results["requests"]} == {
        ("context", 1),
        ("paste", 1),
        ("load", 2),
    }
    assert {row["arm"] for row in results["background"]} <= set(ARMS)
    for workload in ("context", "paste"):
        arms = results["summary"][workload]["1"]
        prompt = arms["cold"]["prompt_tokens"]["p50"]
        cached = {arm: figures["cached_tokens"]["p50"] for arm, figures in arms.items()}
        assert {figures["prompt_tokens"]["p50"] for figures in arms.values()} == {prompt}
        assert cached["cold"] == 0
        assert cached["oracle"] == (prompt - 1) // BLOCK_SIZE * BLOCK_SIZE
        assert cached["static"] <= cached["typed"] <= cached["oracle"]
    assert results["summary"]["context"]["1"]["static"]["cached_tokens"]["p50"] > 1000
    assert results["summary"]["paste"]["1"]["typed"]["cached_tokens"]["p50"] > 700
