"""Chat templates of many model families, as two packages of PyPI ship them. They are fetched, never copied from here.

`llama-cpp-python` (its source archive has llama.cpp's models/templates) and `trl`. They go into the user's cache once,
or are taken from the directory that FOREFILL_TEST_TEMPLATES names (in it *.jinja).
"""

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from forefill_service.engine.packaged_model import publish_once

from .tokenizers import HARMONY

FETCH_SECONDS = 600
PACKAGES = {"llama-cpp-python==0.3.36": ("--no-binary", "llama-cpp-python"), "trl==1.16.0": ("--only-binary", "trl")}
"""The packages, with what pip has to be told to get the archive with the templates."""

# Words in the name of a template, and the tokenizer of that family or of one like it; the first that fits.
_FAMILY_WORDS = {
    "gpt-oss": HARMONY,
    "gptoss": HARMONY,
    "qwen3": "qwen3",
    "qwen": "qwen3",
    "hermes-2": "llama3",
    "llama-3": "llama3_1",
    "llama3": "llama3_1",
    "deepseek": "deepseek_v3",
    "gemma-2": "gemini",
    "gemma": "gemma3",
    "mistral": "llama2",
    "phi": "llama2",
}
_OTHERS = ("gpt4o", "qwen3", "llama3", "gemma3", "llama2", "deepseek_v3", "gemini")
"""In turn for families without a tokenizer here: rendering is checked on any."""


class NoTemplates(Exception):
    """Raised when the templates are not available here; the message is one line."""


def template_files() -> list[Path]:
    """Return the files of all templates but those for training, sorted by name; raises NoTemplates."""
    directory = Path(given) if (given := os.environ.get("FOREFILL_TEST_TEMPLATES")) else _fetched()
    files = sorted(file for file in directory.glob("*.jinja") if not file.stem.endswith("_training"))
    if not files:
        raise NoTemplates(f"no *.jinja in {directory}")
    return files


def template_file(name: str) -> Path:
    """Return the file of one template, by its name in its package; raises NoTemplates."""
    for file in template_files():
        if file.stem == name or file.stem.endswith(f"-{name}"):
            return file
    raise NoTemplates(f"no template {name} in the packages")


def family_of(template: Path, index: int) -> str:
    """Return the tokenizer to try a template on; `index` is its place among all."""
    name = template.stem.lower()
    return next((family for word, family in _FAMILY_WORDS.items() if word in name), _OTHERS[index % len(_OTHERS)])


def _fetched() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forefill" / "test-templates"
    return publish_once(cache / "-".join(package.replace("==", "-") for package in PACKAGES), _fill)


def _fill(directory: Path) -> None:
    with tempfile.TemporaryDirectory() as fetched:
        for package, flags in PACKAGES.items():
            command = [sys.executable, "-m", "pip", "download", "--no-deps", *flags, "--dest", fetched, package]
            try:
                done = subprocess.run(command, capture_output=True, timeout=FETCH_SECONDS, check=False)
            except subprocess.TimeoutExpired as error:
                raise NoTemplates(f"pip download {package} took longer than {FETCH_SECONDS} s") from error
            if done.returncode:
                raise NoTemplates(f"pip download {package} failed; name a directory with FOREFILL_TEST_TEMPLATES")
        for archive in sorted(Path(fetched).iterdir()):
            for name, source in _templates_in(archive):
                (directory / f"{archive.name.partition('-')[0]}-{name}").write_bytes(source)


def _templates_in(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as files:
            for name in files.namelist():
                if name.endswith(".jinja"):
                    yield Path(name).name, files.read(name)
        return
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as members:
        for member in members:
            if "/models/templates/" in member.name and member.name.endswith(".jinja"):
                content = members.extractfile(member)
                assert content is not None
                yield Path(member.name).name, content.read()
