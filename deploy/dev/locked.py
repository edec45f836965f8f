"""The packages that the set-up installs: those of requirements.lock, and torch, which setup.sh beside this pins."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
SET_UP = ROOT / "deploy" / "dev" / "setup.sh"

_ENTRY = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;]+)"
    r"(?: ; (?P<marker>[^\\\n]+?))?(?P<hashes>(?: \\\n    --hash=\S+)*)$",
    re.MULTILINE,
)
_TORCH = re.compile(r"^torch=(?P<version>\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Locked:
    """One release. A package has several if its newest one does not run on every Python."""

    name: str
    version: str
    marker: str = ""
    """Where it is installed, as a PEP 508 marker; "" means everywhere."""
    sha256: tuple[str, ...] = ()
    """Of each of its files that an index may serve; torch has none, because indexes carry different builds of it."""


def normalized(name: str) -> str:
    """Return a package's name as the lock spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def releases_in(lock: str) -> list[Locked]:
    """Return every release of a lock's text, in its order."""
    return [
        Locked(
            found["name"],
            found["version"],
            found["marker"] or "",
            tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", found["hashes"])),
        )
        for found in _ENTRY.finditer(lock)
    ]


def torch_in(set_up: str) -> Locked:
    """Return the release of torch that the text of the set-up pins."""
    found = _TORCH.search(set_up)
    if found is None:
        raise SystemExit(f"{SET_UP} no longer says which torch it installs: look for it elsewhere")
    return Locked("torch", found["version"])


def all_releases() -> list[Locked]:
    """Return every release that the set-up may install, sorted by name and version."""
    found = [*releases_in(LOCK.read_text(encoding="utf-8")), torch_in(SET_UP.read_text(encoding="utf-8"))]
    return sorted(found, key=lambda release: (release.name, release.version))


def names_of(releases: Iterable[Locked]) -> list[str]:
    """Return the name of each package once, sorted."""
    return sorted({release.name for release in releases})
