"""The alert rules fire when they should, as Prometheus itself evaluates them."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMTOOL = shutil.which("promtool") or shutil.which(ROOT / "build/promtool/usr/bin/promtool")


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool: deploy/dev/promtool.sh gets it")
@pytest.mark.parametrize(
    ("command", "file"),
    [("check", "deploy/helm/forefill/files/alerts.yaml"), ("test", "tests/deploy/alerts_test.yaml")],
)
def test_promtool_finds_nothing_wrong(command: str, file: str) -> None:
    done = subprocess.run([str(PROMTOOL), command, "rules", file], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
