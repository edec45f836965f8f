"""The tests of the npm package, in tests/browser/module: Node runs them, and what fails there fails here."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = Path(__file__).resolve().parents[2] / "browser"
FILES = sorted((BROWSER / "module").glob("*.test.js"))
_RESULTS = re.compile(r"^# (pass|fail|cancelled|skipped) (\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def node() -> str:
    """The program; skips without it or its packages, and fails with CI=true."""
    program = shutil.which("node")
    missing = (
        "node is not installed"
        if program is None or shutil.which("npm") is None
        else "the packages of tests/browser are not installed: run npm ci --prefix tests/browser"
        if not (BROWSER / "node_modules" / "typescript").is_dir()
        else ""
    )
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return str(program)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_node_runs_the_file_without_a_failure(node: str, file: Path) -> None:
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(file)],
        cwd=BROWSER,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    results = {name: int(count) for name, count in _RESULTS.findall(done.stdout)}
    assert done.returncode == 0, done.stdout + done.stderr
    assert results["pass"] > 0
    assert results["fail"] == results["cancelled"] == results["skipped"] == 0


def test_there_are_tests() -> None:
    assert FILES
