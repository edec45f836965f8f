"""Policy: checkov and trivy find nothing in any variant but what is excused here, with a reason; the rest is fixed.

The excuses are here and not annotations of the objects, because those would be installed in every cluster.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.deploy.chart import VARIANTS, manifest_of, rendered
from tests.deploy.manifest import Object
from tests.deploy.tools import run

FOREFILL, VLLM, ROUTER, TEST = "chat-forefill", "chat-forefill-vllm", "chat-forefill-router", "chat-forefill-test"
SERVERS = (FOREFILL, VLLM, ROUTER)
ALL = (*SERVERS, TEST)


class Finding(NamedTuple):
    """A check that an object fails."""

    check: str
    object: str
    file: str


CPU_LIMIT = "a CPU limit throttles a process in the middle of an answer; requests keep it from starving others"
EXCUSED: dict[str, tuple[tuple[str, ...], str]] = {
    # checkov
    "CKV_K8S_8": ((TEST,), "the pod of `helm test` runs once and ends"),
    "CKV_K8S_9": ((TEST,), "the pod of `helm test` runs once and ends"),
    "CKV_K8S_11": (ALL, CPU_LIMIT),
    "CKV_K8S_15": (ALL, "tags are releases, which do not move; image.pullPolicy is a value"),
    "CKV_K8S_35": (
        (FOREFILL, VLLM, TEST),
        "the programs take these secrets from variables alone, as references to Secrets",
    ),
    "CKV_K8S_38": ((ROUTER,), "the router finds its servers by the API"),
    "CKV_K8S_43": (ALL, "image.digest is a value: which build of an image is right, only who pushed it knows"),
    # trivy
    "KSV-0011": (ALL, CPU_LIMIT),
    "KSV-0125": (ALL, "which registry is trusted, only who installs the chart knows"),
    "KSV-01010": (
        (FOREFILL,),
        "it takes numbers of ports and seconds for secrets; no_secret_is_in_a_config_map knows better",
    ),
}
"""By the check: the objects that may fail it, and why."""

BROKEN = "privileged.yaml"
PRIVILEGED = {"checkov": "CKV_K8S_16", "trivy": "KSV-0017"}


def _checkov(directory: Path) -> Iterator[Finding]:
    done = run("checkov", "--framework", "kubernetes", "--skip-download", "--output", "json", "--directory", directory)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 500, "it has checked next to nothing"
    for failed in report["results"]["failed_checks"]:
        yield Finding(failed["check_id"], failed["resource"].split(".")[-1], Path(failed["file_path"]).name)


def _trivy(directory: Path) -> Iterator[Finding]:
    done = run(
        "trivy", "config", "--skip-check-update", "--skip-version-check", "--quiet", "--format", "json", directory
    )
    results = json.loads(done.stdout)["Results"]
    assert sum(result["MisconfSummary"]["Successes"] for result in results) > 200, "it has checked next to nothing"
    for result in results:
        for failed in result.get("Misconfigurations", []):
            yield Finding(failed["ID"], _named_in(failed["Message"]), Path(result["Target"]).name)


def _named_in(message: str) -> str:
    """Return the longest name of an object that trivy's sentence has."""
    return max((name for name in ALL if name in message), key=len, default=message)


def _distinct() -> dict[str, list[Object]]:
    """Return the objects of all variants, without those that an earlier one has just so: the tools take their time."""
    found: dict[str, list[Object]] = {}
    for variant in VARIANTS:
        earlier = [one for objects in found.values() for one in objects]
        found[variant] = [one for one in manifest_of(variant).objects if one not in earlier]
    return found


@pytest.fixture(scope="module", params=[_checkov, _trivy], ids=["checkov", "trivy"])
def findings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """What one tool finds in all variants, and in one more manifest that is known to be bad."""
    directory = tmp_path_factory.mktemp("with-a-bad-one")
    for variant, objects in _distinct().items():
        (directory / f"{variant}.yaml").write_text(yaml.dump_all(objects, Dumper=yaml.CSafeDumper))
    bad = rendered("remote").replace("allowPrivilegeEscalation: false", "privileged: true")
    (directory / BROKEN).write_text(bad)
    return list(request.param(directory))


def test_nothing_is_found_but_what_is_excused(findings: list[Finding]) -> None:
    found = {(one.check, one.object) for one in findings if one.file != BROKEN}
    assert found - {(check, name) for check, (names, _) in EXCUSED.items() for name in names} == set()


def test_every_excuse_is_needed(findings: list[Finding]) -> None:
    of_tool = "CKV" if any(one.check.startswith("CKV") for one in findings) else "KSV"
    excused = {(check, name) for check, (names, _) in EXCUSED.items() for name in names if check.startswith(of_tool)}
    assert excused - {(one.check, one.object) for one in findings} == set()


def test_a_privileged_container_is_found(findings: list[Finding]) -> None:
    assert {one.check for one in findings if one.file == BROKEN} & set(PRIVILEGED.values())
