"""Install forefill in an image that has vLLM, beside the image's own packages, which stay as they are.

complete.py ENVIRONMENT LOCK WHEEL: installs into ENVIRONMENT, an empty virtual environment, forefill's WHEEL and those
packages of LOCK that the image lacks; then makes the packages of the image visible there. It fails if what the image
has does not fit.
"""

import os
import re
import site
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("", "service", "traces")
NEWER = frozenset({"googleapis-common-protos", "grpcio"})
"""Packages that are installed although the image has them, if it has too old ones: no model is computed by these."""
_ENTRY = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==.*(?:\n .*)*$", re.MULTILINE)


def entries(lock: str) -> dict[str, str]:
    """Return the lines of each package of a lock: all its releases, with their hashes."""
    found: dict[str, str] = {}
    for entry in _ENTRY.finditer(lock):
        found[entry["name"]] = found.get(entry["name"], "") + entry[0] + "\n"
    return found


def versions(found: Iterable[Distribution]) -> dict[str, str]:
    """Return the version of each package; the first counts, as for Python's own search."""
    known: dict[str, str] = {}
    for distribution in found:
        known.setdefault(canonicalize_name(distribution.name), distribution.version)
    return known


def unmet(added: Iterable[Distribution], installed: Mapping[str, str]) -> dict[str, str]:
    """Return the packages that are missing or do not fit what was added, and for each the reason."""
    reasons: dict[str, str] = {}
    for distribution in added:
        extras = EXTRAS if canonicalize_name(distribution.name) == "forefill" else ("",)
        for requirement in map(Requirement, distribution.requires or ()):
            name = canonicalize_name(requirement.name)
            if not _applies(requirement, extras):
                continue
            if name not in installed:
                reasons[name] = f"{distribution.name} needs {requirement}, which is missing"
            elif not requirement.specifier.contains(installed[name], prereleases=True):
                reasons[name] = f"{distribution.name} needs {requirement}, the image has {installed[name]}"
    return reasons


def _applies(requirement: Requirement, extras: Sequence[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


def _install(environment: Path, *what: str) -> None:
    pip = (sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"))
    subprocess.run([*pip, "install", "--no-compile", "--no-deps", *what], check=True)  # noqa: S603 - our own


def _install_locked(environment: Path, lock: Mapping[str, str], names: Iterable[str]) -> None:
    chosen = environment / "lacking.lock"
    chosen.write_text("".join(lock[name] for name in sorted(names)))
    _install(environment, "--only-binary=:all:", "--require-hashes", "-r", str(chosen))
    chosen.unlink()


def _site_packages(environment: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return environment / "lib" / version / "site-packages"


def _show(directories: Sequence[str], where: Path) -> None:
    """Make the packages of these directories visible, after those of the environment; their .pth files count, too."""
    lines = [f"import site; site.addsitedir({directory!r})" for directory in directories if os.path.isdir(directory)]
    where.write_text("\n".join(lines) + "\n")


def main(environment: Path, lock_file: Path, wheel: str) -> str:
    """Install what is lacking; return what is wrong then, or ""."""
    packages = _site_packages(environment)
    of_image = site.getsitepackages()
    lock = entries(lock_file.read_text())
    wanted = lock.keys() - versions(distributions(path=of_image)).keys()
    _install(environment, "--no-index", wheel)
    while True:
        _install_locked(environment, lock, wanted)
        added = list(distributions(path=[str(packages)]))
        reasons = unmet(added, versions(distributions(path=[str(packages), *of_image])))
        wanted = reasons.keys() & NEWER - versions(added).keys()
        if not wanted:
            break
    _show(of_image, packages / "packages_of_the_image.pth")
    return "\n".join(reasons.values())


if __name__ == "__main__":
    if wrong := main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]):
        sys.exit(f"these packages do not fit: build on the vLLM release that pyproject.toml names\n{wrong}")
