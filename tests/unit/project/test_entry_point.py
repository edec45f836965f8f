"""`forefill-server` if only the client was installed."""

import sys

import pytest
from forefill_service.__main__ import main


def test_without_the_services_packages_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "forefill_service.cli", None)  # importing it then fails
    assert main() == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("forefill-server: ")
    assert "extra 'vllm'" in line
