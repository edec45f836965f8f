"""A plugin of pytest, for where only the client is installed: skips test files that import more than that.

Loaded by pythons.sh. A package of the client itself that cannot be imported is still an error.
"""

import sys
from collections.abc import Generator

import pytest

CLIENT = ("forefill", "google", "grpc", "typing_extensions")
"""The client and its own dependencies."""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the failure to import a test file into a skip, if a package is missing that the client does not need."""
    report = yield
    missing = _missing_package(str(report.longrepr)) if report.outcome == "failed" else ""
    if missing and missing not in (*CLIENT, *sys.stdlib_module_names) and not missing.startswith("forefill_"):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), None, f"Skipped: {missing} is not installed")
    return report


def _missing_package(failure: str) -> str:
    name = failure.rpartition("ModuleNotFoundError: No module named '")[2].partition("'")[0]
    return name.partition(".")[0] if "ModuleNotFoundError" in failure else ""
