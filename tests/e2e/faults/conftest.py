"""Figures of the fault tests: properties of each test in a JUnit report, and lines at the end of the run."""

from collections.abc import Callable

import pytest

FIGURES = pytest.StashKey[list[str]]()
Figure = Callable[[str, str], None]


@pytest.fixture
def figure(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Figure:
    """Record what a test measured: figures are shown, and never asserted."""
    lines = request.config.stash.setdefault(FIGURES, [])

    def record(what: str, value: str) -> None:
        record_property(what, value)
        lines.append(f"{request.node.name}: {what}: {value}")

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the figures of all tests."""
    if lines := config.stash.get(FIGURES, []):
        terminalreporter.section("figures of faults")
        for line in lines:
            terminalreporter.write_line(line)
