#!/usr/bin/env python3
"""Write a CycloneDX bill of materials of everything that the set-up installs: make sbom.

It is made from the lock and the table of licences alone, so the same commit makes the same bytes. It has the date of
SOURCE_DATE_EPOCH if that is set, else none; its serial number is a digest of what it holds. It does not say which
package wants which, because the lock does not.
"""

# ruff: noqa: T201 - it talks to people
import json
import os
import sys
import tomllib
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from deploy.dev.licences import DOCUMENT, Row, rows_in
from deploy.dev.locked import ROOT, Locked, all_releases

OUTPUT = "build/sbom.cdx.json"


def component(release: Locked, licence: str) -> Component:
    """Return one release as a component; its marker, if it has one, is a property."""
    url = PackageURL("pypi", name=release.name, version=release.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=release.name,
        version=release.version,
        purl=url,
        bom_ref=str(url),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in release.sha256],
        licenses=[LicenseExpression(licence)],
        properties=[Property(name="forefill:marker", value=release.marker)] if release.marker else (),
    )


def forefill() -> Component:
    """Return what the bill is of."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    url = PackageURL("pypi", name=project["name"], version=project["version"])
    return Component(
        type=ComponentType.APPLICATION,
        name=project["name"],
        version=project["version"],
        purl=url,
        bom_ref=str(url),
        licenses=[LicenseExpression(project["license"])],
    )


def bill(releases: list[Locked], licences: dict[str, Row]) -> dict[str, Any]:
    """Return the bill as JSON's values, without a date and a serial number."""
    components = [component(release, licences[release.name].licence) for release in releases]
    bom = Bom(components=components, metadata=BomMetaData(component=forefill()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*has no defined dependencies")  # see above
        made: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    # The library writes an empty entry for each component, which would say that it depends on nothing.
    del made["dependencies"], made["metadata"]["timestamp"], made["serialNumber"]
    return made


def identified(made: dict[str, Any], source_date_epoch: str | None) -> dict[str, Any]:
    """Return the bill with a serial number that is its digest and, if there is an epoch, its date."""
    serial = uuid5(NAMESPACE_URL, json.dumps(made, sort_keys=True))
    if source_date_epoch:
        date = datetime.fromtimestamp(int(source_date_epoch), UTC).isoformat()
        made = {**made, "metadata": {**made["metadata"], "timestamp": date}}
    return {**made, "serialNumber": serial.urn}


def main() -> int:
    """Write the bill, and return 1 if the table of licences lacks a package."""
    releases, licences = all_releases(), rows_in((ROOT / DOCUMENT).read_text(encoding="utf-8"))
    if missing := sorted({release.name for release in releases} - licences.keys()):
        print(f"{DOCUMENT} has no row for {', '.join(missing)}: run make licences", file=sys.stderr)
        return 1
    made = identified(bill(releases, licences), os.environ.get("SOURCE_DATE_EPOCH"))
    path = ROOT / OUTPUT
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"forefill: {OUTPUT} holds {len(releases)} releases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
