"""The pytest plugin: the fixture `forefill_server`, which `forefill_client.testing` describes.

It is not in that package, which loads gRPC: pytest imports this at each start, and most runs do not need more of it.
"""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forefill_client.testing import FakeServer


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "forefill_server(**settings): the settings of forefill_server, as forefill_client.testing.FakeServer"
    )


@pytest.fixture
def forefill_server(request: pytest.FixtureRequest) -> "Iterator[FakeServer]":
    """A forefill server of this test's own, without a model: see forefill_client.testing."""
    from forefill_client.testing import FakeServer

    settings: dict[str, Any] = {}
    for marker in reversed([*request.node.iter_markers("forefill_server")]):  # the test's own last
        if marker.args:
            raise pytest.UsageError(f"forefill_server takes settings by name, not {marker.args!r:.80}")
        settings |= marker.kwargs
    with FakeServer(**settings) as server:
        yield server
