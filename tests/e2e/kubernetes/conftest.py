"""The chart as `helm template` renders it, and why it cannot be run here."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support.kubelet import Objects, missing, missing_tool, rendered

QUICK = {
    "image": {"repository": "registry.example.com/forefill"},
    "minReadySeconds": 1,
    "probes": {"periodSeconds": 1},
    "drain": {"preStopSeconds": 2, "goAwaySeconds": 2, "stopGraceSeconds": 20},
}
"""What makes a rolling update quick."""

Render = Callable[..., Objects]


@pytest.fixture(scope="session")
def chart() -> Render:
    """Render the chart: `chart(variants=["stack"], engine={"kind": "fake"})`."""
    if reason := missing() or missing_tool("helm"):
        pytest.skip(reason)

    def render(*, variants: Sequence[str] = (), **values: Any) -> Objects:
        return rendered({**QUICK, **values}, variants=variants)

    return render
