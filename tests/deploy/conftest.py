"""What the tests of manifests share: each variant, rendered once."""

from pathlib import Path

import pytest

from tests.deploy.chart import VARIANTS, manifest_of, rendered
from tests.deploy.manifest import Manifest


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The name of each variant in turn."""
    return str(request.param)


@pytest.fixture
def manifest(variant: str) -> Manifest:
    """Each variant in turn."""
    return manifest_of(variant)


@pytest.fixture(scope="session")
def rendered_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a file for each variant, and nothing else."""
    directory = tmp_path_factory.mktemp("rendered")
    for name in VARIANTS:
        (directory / f"{name}.yaml").write_text(rendered(name), encoding="utf-8")
    return directory
