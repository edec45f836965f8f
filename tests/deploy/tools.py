"""The programs in build/kube-tools, which `make kube-tools` makes."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PROGRAMS = ROOT / "build" / "kube-tools" / "bin"
MADE = ROOT / "build" / "kube-tools" / "stamp"


def require() -> None:
    """Skip the test if the tools are missing; with CI=true, fail."""
    if MADE.exists():
        return
    if os.environ.get("CI") == "true":
        pytest.fail("build/kube-tools is missing: run make kube-tools")
    pytest.skip("build/kube-tools is missing: run make kube-tools")


def run(program: str, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program without a network to reach: whatever it wants to ask is asked of a closed port."""
    require()
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return subprocess.run(
        [str(_PROGRAMS / program), *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | closed | {"PATH": f"{_PROGRAMS}:{os.environ['PATH']}"},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
