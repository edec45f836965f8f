"""The threat model and the table of attacks name a test for each row, and only tests and flags that exist."""

import re
from pathlib import Path

import pytest
from forefill_service.settings import GROUPS

ROOT = Path(__file__).parents[3]
THREATS = (ROOT / "service" / "THREATS.md").read_text()
ROWS = re.findall(r"^\| ([A-Z]\d+) \| (.+?) \| (.+?) \|(.*)\|$", THREATS, re.MULTILINE)
ATTACKS = (ROOT / "tests" / "benchmarks" / "attacks.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(?:Test\w+::)?(test_\w+)`", THREATS + ATTACKS)
FLAGS = sorted(set(re.findall(r"`(--[a-z][a-z-]*)", THREATS)))

FLAGS_OF_VLLM = {"--enable-log-requests", "--speculative-config"}


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_a_test_that_it_names_exists(path: str, name: str) -> None:
    assert re.search(rf"^\s*(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_rows_are_numbered_within_their_section() -> None:
    ids = [row[0] for row in ROWS]
    assert ids
    counted: dict[str, int] = {}
    for row_id in ids:
        counted[row_id[0]] = counted.get(row_id[0], 0) + 1
        assert row_id == f"{row_id[0]}{counted[row_id[0]]}"


@pytest.mark.parametrize(("row_id", "tests"), [(row[0], row[3].strip()) for row in ROWS])
def test_each_row_names_tests_and_nothing_else(row_id: str, tests: str) -> None:
    names = tests.split("<br>")
    assert all(re.fullmatch(r"`tests/[\w/]+\.py::(Test\w+::)?test_\w+`", name) for name in names), row_id


def test_each_attack_has_a_row_with_its_tests() -> None:
    rows = re.findall(r"^\| A(\d+) \|.*`tests/[^|]+\|$", ATTACKS, re.MULTILINE)
    assert rows == [str(number) for number in range(1, 25)]


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_that_it_names_exists(flag: str) -> None:
    ours = {f"--{name.replace('_', '-')}" for group in GROUPS.values() for name in group.by_flag()}
    assert (flag in ours) is (flag not in FLAGS_OF_VLLM)


def test_code_of_a_model_is_never_trusted_by_forefill_itself() -> None:
    for directory in ("service", "client"):
        for path in (ROOT / directory).rglob("*.py"):
            assert "trust_remote_code" not in path.read_text(), path
