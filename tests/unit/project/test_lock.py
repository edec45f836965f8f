"""requirements.lock holds what pyproject.toml asks for, and nothing that depends on where it was made."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[3]
_LOCK = (_ROOT / "requirements.lock").read_text()
_PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", _LOCK, flags=re.MULTILINE)
}
_PYPROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())


def _asked_for() -> list[Requirement]:
    extras = _PYPROJECT["project"]["optional-dependencies"]
    groups = _PYPROJECT["dependency-groups"]
    texts = _PYPROJECT["project"]["dependencies"] + extras["service"] + extras["cpu"] + extras["bench"]
    texts += extras["graphemes"]
    texts += groups["model"] + groups["torch"] + groups["dev"]
    return [requirement for requirement in map(Requirement, texts) if requirement.name != "forefill"]


@pytest.mark.parametrize("requirement", _asked_for(), ids=str)
def test_lock_has_what_is_asked_for(requirement: Requirement) -> None:
    version = _PINS.get(canonicalize_name(requirement.name))
    assert version is not None, f"{requirement.name} is not in requirements.lock: run make lock"
    assert requirement.specifier.contains(version, prereleases=True), f"{requirement} has moved: run make lock"


def test_lock_has_no_torch_and_no_cuda() -> None:
    unwanted = {"torch", "torchaudio", "torchcodec", "torchvision", "triton", "llama-cpp-python", "llm"}
    assert not unwanted & _PINS.keys()
    assert not [name for name in _PINS if name.startswith(("nvidia-", "cuda-"))]


def test_lock_names_no_index_and_no_directory() -> None:
    assert "://" not in _LOCK
    assert not re.search(r"^\s*(--(index|extra|find)|-[ifr] |\S*/)", _LOCK, flags=re.MULTILINE)


def test_every_package_has_hashes() -> None:
    assert len(re.findall(r"^[a-z].* \\\n    --hash=sha256:", _LOCK, flags=re.MULTILINE)) == len(
        re.findall(r"^[a-z]\S*==", _LOCK, flags=re.MULTILINE)
    )
