"""Inputs that once failed, one file each; they are beside the repository, not in it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2].parent / "shared" / "cases"
Case = dict[str, Any]
"""What a file says."""


def cases(*names: str) -> list[Any]:
    """Return the parameters of a test that runs these files; one that is not here is skipped."""
    return [_parameter(name) for name in names]


def case_names() -> Iterator[str]:
    """Yield the names of all files that are here."""
    return (file.stem for file in FOLDER.glob("*.json"))


def _parameter(name: str) -> Any:
    file = FOLDER / f"{name}.json"
    if not file.is_file():
        return pytest.param({}, id=name, marks=pytest.mark.skip(f"no ../shared/cases/{file.name}"))
    return pytest.param(json.loads(file.read_text()), id=name)
