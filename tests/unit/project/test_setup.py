"""The set-up that cannot be done says in one line why, and what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the set-up reads, in a place where nothing is set up."""
    shutil.copytree(_ROOT / "deploy" / "dev", tmp_path / "deploy" / "dev")
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(_ROOT / name, tmp_path / name)
    return tmp_path


def _set_up(copy: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    script = str(copy / "deploy" / "dev" / "setup.sh")
    return subprocess.run(
        [script],
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _only_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def _fake_command(directory: Path, name: str, output: str) -> str:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\necho '{output}'\n")
    (directory / name).chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


def _full_disk(directory: Path) -> str:
    return _fake_command(directory / "bin", "df", "Filesystem\nnone 9 9 2097152 9% /")


def test_a_wrong_python(copy: Path) -> None:
    line = _only_line(_set_up(copy, PYTHON="/bin/false"))
    assert "/bin/false is not suitable: this needs Python 3.11 to 3.14" in line
    assert "make PYTHON=" in line


def test_a_wrong_machine(copy: Path) -> None:
    path = _fake_command(copy / "bin", "uname", "Darwin")
    assert "needs Linux, this is Darwin" in _only_line(_set_up(copy, PATH=path))


def test_too_little_disk(copy: Path) -> None:
    assert "needs 4 GiB of disk" in _only_line(_set_up(copy, PATH=_full_disk(copy)))


def test_no_network(copy: Path) -> None:
    # Port 9 of this machine: nobody listens.
    line = _only_line(_set_up(copy, PIP_INDEX_URL="http://127.0.0.1:9/index", PIP_CONFIG_FILE=os.devnull))
    assert "no package index answers" in line
    assert str(copy / "build" / "setup.log") in line


def test_an_environment_of_somebody_else_is_left_alone(copy: Path) -> None:
    (copy / ".venv").mkdir()
    assert "was not made by this set-up" in _only_line(_set_up(copy))
    assert (copy / ".venv").is_dir()


def test_an_interrupted_set_up_is_not_taken_for_done(copy: Path) -> None:
    half = copy / ".venv" / ".forefill"
    half.mkdir(parents=True)
    (copy / ".venv" / "half-unpacked").touch()
    _only_line(_set_up(copy, PATH=_full_disk(copy)))
    assert not (copy / ".venv" / "half-unpacked").exists()
