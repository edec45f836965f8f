"""Every file that a document links or names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "client/examples/README.md",
    "deploy/access.md",
    "deploy/images.md",
    "deploy/kubernetes.md",
    "deploy/vllm-servers.md",
    "deploy/chat-completions.md",
    "deploy/licences.md",
    "service/FAULTS.md",
    "service/METRICS.md",
    "service/OPERATIONS.md",
    "service/THREATS.md",
    "tests/benchmarks/README.md",
    "tests/benchmarks/attacks.md",
    "tests/benchmarks/greedy_caller.md",
)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
NAMED_FILE = re.compile(r"`([\w./-]+\.(?:lock|md|proto|py|sh|toml))`")
# CONTRIBUTING names modules of the service by their path inside it.
BASES = (ROOT, ROOT / "service" / "forefill_service")


def _linked() -> list[tuple[str, str]]:
    found = [(name, link) for name in DOCUMENTS for link in LINK.findall((ROOT / name).read_text())]
    return [(name, link) for name, link in found if not link.startswith("https://")]


def _named() -> list[str]:
    return sorted(set(NAMED_FILE.findall((ROOT / "CONTRIBUTING.md").read_text())))


@pytest.mark.parametrize(("document", "link"), _linked())
def test_a_linked_file_exists(document: str, link: str) -> None:
    assert (ROOT / document).parent.joinpath(link).exists()


@pytest.mark.parametrize("name", _named())
def test_a_file_that_contributing_names_exists(name: str) -> None:
    assert any((base / name).exists() for base in BASES)


def test_contributing_follows_a_keystroke_through_files_of_every_package() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    path = text.split("## A newcomer's path", 1)[1].split("\n## ", 1)[0]
    assert len(re.findall(r"^\d+\. ", path, re.MULTILINE)) == 10
    packages = {name.split("/")[0] for name in NAMED_FILE.findall(path) if "/" in name}
    service = ROOT / "service" / "forefill_service"
    assert packages >= {directory.parent.name for directory in service.glob("*/__init__.py")}
