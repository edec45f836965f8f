"""The bill of materials is valid CycloneDX 1.6, holds what the lock holds, and is the same bytes each time.

`make sbom` installs its tools into an environment of their own; without that, there is nothing to test.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from referencing import Registry, Resource

from deploy.dev.licences import DOCUMENT, rows_in
from deploy.dev.locked import all_releases

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / "build" / "supply-tools"
SCHEMAS_THAT_IT_REFERS_TO = ("jsf-0.82.SNAPSHOT.schema.json", "spdx.SNAPSHOT.schema.json")

pytestmark = pytest.mark.skipif(not (TOOLS / "stamp").exists(), reason="make sbom has not installed its tools")


def made(epoch: str | None = None) -> tuple[bytes, dict[str, Any]]:
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    if epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = epoch
    subprocess.run([str(ROOT / "deploy/dev/supply.sh"), "sbom"], env=environment, check=True, timeout=120)
    written = (ROOT / "build" / "sbom.cdx.json").read_bytes()
    return written, json.loads(written)


@pytest.fixture(scope="module")
def sbom() -> dict[str, Any]:
    return made()[1]


def test_the_same_commit_makes_the_same_bytes() -> None:
    first, bill = made()
    assert made()[0] == first
    assert "timestamp" not in bill["metadata"]


def test_it_has_the_date_of_source_date_epoch_and_is_otherwise_the_same(sbom: dict[str, Any]) -> None:
    _, dated = made("86400")
    assert dated["metadata"].pop("timestamp") == "1970-01-02T00:00:00+00:00"
    assert dated == sbom


def test_it_holds_every_release_with_its_hashes_and_its_licence(sbom: dict[str, Any]) -> None:
    licences = rows_in((ROOT / DOCUMENT).read_text())
    held = {(part["name"], part["version"]): part for part in sbom["components"]}
    releases = all_releases()
    assert held.keys() == {(release.name, release.version) for release in releases}
    for release in releases:
        part = held[release.name, release.version]
        assert {digest["content"] for digest in part.get("hashes", [])} == set(release.sha256)
        assert part["licenses"] == [{"expression": licences[release.name].licence}]
        assert part["purl"].startswith(f"pkg:pypi/{release.name}@")


def test_it_does_not_say_that_packages_want_nothing(sbom: dict[str, Any]) -> None:
    assert "dependencies" not in sbom


def test_it_fits_the_schema(sbom: dict[str, Any]) -> None:
    [schemas] = TOOLS.glob("lib/python*/site-packages/cyclonedx/schema/_res")
    schema = json.loads((schemas / "bom-1.6.SNAPSHOT.schema.json").read_text())
    referred = {name: json.loads((schemas / name).read_text()) for name in SCHEMAS_THAT_IT_REFERS_TO}
    registry: Registry[Any] = Registry().with_resources(
        (f"http://cyclonedx.org/schema/{name}", Resource.from_contents(contents)) for name, contents in referred.items()
    )
    validator = jsonschema.Draft7Validator(schema, registry=registry)
    assert [error.message for error in validator.iter_errors(sbom)] == []
    assert list(validator.iter_errors({**sbom, "components": [{"type": "library"}]})), "the schema is in use"
