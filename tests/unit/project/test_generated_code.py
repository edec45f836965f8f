"""`make lint` finds generated modules that are older than their schema."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """What the generator reads, in a place of its own."""
    shutil.copytree(_ROOT / "proto", tmp_path / "proto")
    shutil.copytree(_ROOT / "deploy" / "dev", tmp_path / "deploy" / "dev")
    (tmp_path / ".venv").symlink_to(_ROOT / ".venv")
    yield tmp_path
    (tmp_path / ".venv").unlink()


def _proto(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = copy / "deploy" / "dev" / "proto.sh"
    return subprocess.run([str(script), *arguments], capture_output=True, text=True, check=False)


def test_generated_modules_are_up_to_date(copy: Path) -> None:
    assert _proto(copy, "--check").returncode == 0


def test_a_schema_that_moved_on_is_found_and_mended_by_make_proto(copy: Path) -> None:
    schema = copy / "proto" / "forefill" / "v1" / "keystroke.proto"
    schema.write_text(schema.read_text() + "\n// Later is a new message.\nmessage Later {}\n")

    stale = _proto(copy, "--check")

    assert stale.returncode != 0
    assert "proto is newer than its generated modules: run make proto" in stale.stderr
    assert _proto(copy).returncode == 0
    assert _proto(copy, "--check").returncode == 0
