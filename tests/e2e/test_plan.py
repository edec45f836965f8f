"""`forefill plan` as a program: nothing but the service's code, the fake engine and arithmetic."""

import asyncio
import json
import os
import sys
from pathlib import Path

PLAN = ("plan", "--typists", "20", "--submits", "20", "--cycle-seconds", "25", "--context-tokens", "600")


async def test_twenty_typists_get_replicas_and_waits_within_the_target(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "forefill_client.cli", *PLAN, "--json", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    told = json.loads(file.read_text())
    [fleet] = told["fleets"]
    assert told["most_typists"]["typed"] >= 1
    assert fleet["replicas"] >= 20 / told["most_typists"]["typed"]
    assert fleet["served"]["typed"]["p95_ms"] <= 300 < fleet["served"]["cold"]["p95_ms"]
    assert "fleets: replicas needed in each way of serving" in out.decode()
