"""Form: helm lint, yamllint and hadolint have nothing to say; each is seen to say something."""

from pathlib import Path

import pytest

from tests.deploy.chart import CHART, VARIANTS, values_of
from tests.deploy.tools import ROOT, run

DOCKERFILES = sorted((ROOT / "deploy").rglob("Dockerfile"))
VALUES = sorted(
    [*CHART.glob("*.yaml"), *(CHART / "variants").glob("*.yaml"), *(ROOT / "tests/deploy/values").iterdir()]
)
FOR_VALUES, FOR_RENDERED = ROOT / "deploy/helm/yamllint.yaml", ROOT / "deploy/helm/yamllint-rendered.yaml"


@pytest.mark.parametrize("variant", VARIANTS)
def test_helm_lint_is_content(variant: str) -> None:
    done = run("helm", "lint", "--strict", "--quiet", CHART, *values_of(variant))
    assert done.returncode == 0, done.stdout + done.stderr


def test_helm_lint_reports_a_value_that_is_no_yaml(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("replicaCount: [\n")
    assert run("helm", "lint", "--strict", CHART, "--values", tmp_path / "bad.yaml").returncode != 0


def test_yamllint_is_content_with_the_values() -> None:
    done = run("yamllint", "--strict", "--config-file", FOR_VALUES, *VALUES)
    assert done.returncode == 0, done.stdout


def test_yamllint_is_content_with_the_manifests(rendered_files: Path) -> None:
    done = run("yamllint", "--strict", "--config-file", FOR_RENDERED, rendered_files, CHART / "files")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\na: 2\n", "key-duplicates"),
        ("metadata:\n  annotations:\nspec: 1\n", "empty-values"),
        ("a: yes\n", "truthy"),
        ("a: *b\n", "anchors"),
    ],
)
def test_yamllint_reports_what_a_template_gets_wrong(text: str, complaint: str) -> None:
    done = run("yamllint", "--strict", "--config-file", FOR_RENDERED, "-", stdin=text)
    assert done.returncode != 0
    assert complaint in done.stdout


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_hadolint_is_content(dockerfile: Path) -> None:
    done = run("hadolint", dockerfile)
    assert done.returncode == 0, done.stdout


def test_hadolint_reports_an_image_that_is_not_pinned() -> None:
    done = run("hadolint", "-", stdin="FROM debian:latest\nCMD exec true\n")
    assert done.returncode != 0
    assert "DL3007" in done.stdout
