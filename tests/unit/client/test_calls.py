"""A program on the client passes strict type checks, and each wrong call in it fails them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CALLS = (ROOT / "tests" / "data" / "calls.py").read_text(encoding="utf-8")
MARK = re.compile(r"  # type: ignore\[[\w-]+\]$", re.MULTILINE)
MARKED = {number for number, line in enumerate(CALLS.splitlines(), 1) if MARK.search(line)}
PYRIGHT = ROOT / "deploy" / "dev" / "pyright"
PROGRAM = PYRIGHT / "node_modules" / "pyright" / "index.js"

_no_pyright = (
    "node is not installed"
    if shutil.which("node") is None
    else "pyright is not installed: run make lint"
    if not PROGRAM.exists()
    else ""
)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The calls without their marks."""
    path = tmp_path / "calls.py"
    path.write_text(MARK.sub("", CALLS), encoding="utf-8")
    return path


def run(*command: str) -> str:
    """Run a checker in the repository, where it finds the packages; it must find something, and not fail."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 1, done.stderr or done.stdout
    return done.stdout


def test_there_are_wrong_calls_of_all_kinds() -> None:
    assert len(MARKED) > 40


def test_mypy_refuses_exactly_the_wrong_calls(program: Path) -> None:
    found = run(sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(program))
    assert {int(line) for line in re.findall(r"calls\.py:(\d+): error", found)} == MARKED, found


@pytest.mark.skipif(bool(_no_pyright), reason=_no_pyright)
def test_pyright_refuses_exactly_the_wrong_calls(program: Path) -> None:
    settings = program.with_name("pyrightconfig.json")
    paths = [str(ROOT / "client"), str(ROOT / "proto")]
    settings.write_text(json.dumps({"include": ["calls.py"], "extraPaths": paths, "typeCheckingMode": "strict"}))
    found = json.loads(
        run("node", str(PROGRAM), "--project", str(settings), "--outputjson", "--pythonpath", sys.executable)
    )
    assert {one["range"]["start"]["line"] + 1 for one in found["generalDiagnostics"]} == MARKED, found


def test_pyright_is_locked_with_its_hash() -> None:
    [wanted] = json.loads((PYRIGHT / "package.json").read_text(encoding="utf-8"))["dependencies"].items()
    packages = json.loads((PYRIGHT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert (wanted[0], packages["node_modules/pyright"]["version"]) == wanted
    for name, package in packages.items():
        assert not name or package["integrity"].startswith("sha512-")
        assert package.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/")
