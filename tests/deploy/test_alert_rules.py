"""Prometheus itself reads every query, and evaluates the alert rules: they fire when they should."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ROOT / "deploy" / "helm" / "forefill" / "files"
PROMTOOL = shutil.which("promtool") or shutil.which(ROOT / "build/promtool/usr/bin/promtool")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="needs promtool: deploy/dev/promtool.sh gets it")


def promtool(command: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROMTOOL), command, "rules", str(file)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("command", "file"), [("check", FILES / "alerts.yaml"), ("test", Path(__file__).parent / "alerts_test.yaml")]
)
def test_promtool_finds_nothing_wrong_with_the_alerts(command: str, file: Path) -> None:
    done = promtool(command, file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_can_read_every_query_of_the_dashboard(tmp_path: Path) -> None:
    panels = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    queries = [
        target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel.get("targets", ())
    ]
    rules = [{"record": f"query{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    done = promtool("check", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries)} rules found" in done.stdout
