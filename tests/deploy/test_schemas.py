"""Types and fields: Kubernetes knows every object, from the oldest release that the chart is for to a new one."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.chart import CHART, VARIANTS, manifest_of, rendered
from tests.deploy.tools import run

OLDEST, NEWEST = "1.30", "1.37"

WITHOUT_SCHEMA = {
    "BackendTLSPolicy",
    "BackendTrafficPolicy",
    "Certificate",
    "GRPCRoute",
    "PodMonitor",
    "PrometheusRule",
    "ScaledObject",
    "ServiceMonitor",
}
"""Kinds of other projects, whose schemas are not packaged: for these there are only rules of our own."""


def _validated(version: str, path: Path) -> tuple[int, str]:
    done = run("kubernetes-validate", "--kubernetes-version", version, "--strict", *sorted(path.iterdir()))
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_objects_fit_the_schemas(version: str, rendered_files: Path) -> None:
    status, output = _validated(version, rendered_files)
    assert status == 0, output
    assert set(re.findall(r"Couldn't find schema for kind (\w+)", output)) == WITHOUT_SCHEMA
    known = [one for name in VARIANTS for one in manifest_of(name).objects if one["kind"] not in WITHOUT_SCHEMA]
    assert output.count(" passed for resource ") == len(known)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("containerPort: 50051", 'containerPort: "50051"'),
        ("terminationGracePeriodSeconds:", "terminationGraceSeconds:"),
        ("apiVersion: apps/v1", "apiVersion: apps/v1beta1"),
    ],
)
def test_what_does_not_fit_is_reported(right: str, wrong: str, tmp_path: Path) -> None:
    text = rendered("remote")
    assert right in text
    (tmp_path / "wrong.yaml").write_text(text.replace(right, wrong))
    status, output = _validated(NEWEST, tmp_path)
    assert status != 0 or "Couldn't find schema" in output


def test_the_oldest_release_is_the_one_that_the_chart_asks_for() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"
