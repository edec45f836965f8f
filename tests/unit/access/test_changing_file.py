"""Files that are replaced while the server runs."""

import os
from pathlib import Path

import pytest
from forefill_service.access.changing_file import ChangingFiles
from forefill_service.errors import SettingsFileError


def read_number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        raise SettingsFileError("no number") from None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "number"
    path.write_text("1")
    return path


def replace_with(path: Path, text: str) -> None:
    """As programs do that must not be seen in the middle of a write; the time of change always differs."""
    new = path.with_suffix(".new")
    new.write_text(text)
    times = path.stat().st_mtime_ns if path.exists() else 0
    os.utime(new, ns=(times + 1, times + 1))
    new.replace(path)


def test_what_has_changed_is_read_again_and_nothing_else(path: Path) -> None:
    reads: list[int] = []

    def read() -> int:
        reads.append(read_number(path))
        return reads[-1]

    files = ChangingFiles([path], read)
    assert not files.refresh()
    replace_with(path, "2")
    assert files.refresh()
    assert not files.refresh()
    assert (files.current, reads) == (2, [1, 2])


def test_what_cannot_be_used_leaves_the_old_in_force(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = ChangingFiles([path], lambda: read_number(path))
    replace_with(path, "no number")
    assert not files.refresh()
    assert not files.refresh()
    assert files.current == 1
    assert len(caplog.records) == 1, "it is said once"
    path.unlink()
    assert not files.refresh()
    assert files.current == 1
    replace_with(path, "3")
    assert files.refresh()
    assert files.current == 3


def test_the_first_must_be_usable(tmp_path: Path) -> None:
    with pytest.raises(SettingsFileError):
        ChangingFiles([tmp_path / "missing"], lambda: read_number(tmp_path / "missing"))
