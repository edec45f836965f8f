"""What the tests of manifests share: each variant, rendered once."""

import pytest

from tests.deploy.chart import VARIANTS, manifest_of
from tests.deploy.manifest import Manifest


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The name of each variant in turn."""
    return str(request.param)


@pytest.fixture
def manifest(variant: str) -> Manifest:
    """Each variant in turn."""
    return manifest_of(variant)
