"""The audit finds what a database of advisories knows, and never takes silence for an all-clear."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.dev.audit import (
    ACCEPTED,
    CANARY,
    SERVICES,
    Finding,
    Report,
    Unanswered,
    audit,
    pip_audit,
    report_of,
    rounds,
)
from deploy.dev.locked import Locked, all_releases, releases_in, torch_in

ROOT = Path(__file__).parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CANARYS = Report(1, (), (Finding("pyyaml 5.3", "PYSEC-2020-96", ("CVE-2020-1747",), ("5.3.1",)),))
NOTHING = Report(1, (), ())
BAD = Finding("b 1", "PYSEC-1", ("CVE-1",), ("2",))


class Databases:
    """Answers for each service: what it says of the canary, and what of everything else."""

    def __init__(self, **says: Report | tuple[Report, Report]) -> None:
        self.says: Mapping[str, Report | tuple[Report, Report]] = says
        self.asked: list[tuple[str, list[Locked]]] = []

    def __call__(self, service: str, releases: list[Locked]) -> Report:
        self.asked.append((service, releases))
        if service not in self.says:
            raise Unanswered(f"{service}: cannot be reached")
        says = self.says[service]
        if isinstance(says, Report):
            return says
        return says[0] if releases == [CANARY] else says[1]


def run(databases: Databases, accepted: Mapping[str, str] | None = None, *, skip: bool = True) -> tuple[int, list[str]]:
    return audit([Locked("a", "1"), Locked("b", "1")], databases, accepted or {}, skip=skip)


def test_without_a_database_it_is_skipped_in_one_line_that_says_why() -> None:
    status, [line] = run(Databases())
    assert status == 0
    assert "skipped, nothing was looked up" in line
    for service in SERVICES:
        assert f"{service}: cannot be reached" in line


def test_no_skip_makes_that_a_failure() -> None:
    assert run(Databases(), skip=False)[0] == 1


def test_a_database_that_does_not_know_the_canary_is_no_database() -> None:
    # As a mirror of an index answers that serves packages and no advisories: pip-audit exits with 0.
    mirror = Databases(pypi=Report(0, ("pyyaml",), ()), osv=NOTHING)
    status, [line] = run(mirror)
    assert status == 0
    assert "pypi: no advisories" in line
    assert all(releases == [CANARY] for _, releases in mirror.asked)


def test_the_first_database_that_knows_the_canary_is_asked() -> None:
    databases = Databases(osv=(CANARYS, Report(2, (), ())))
    assert run(databases) == (0, ["2 releases looked up in osv: 0 advisories to act on"])
    assert databases.asked[-1] == ("osv", [Locked("a", "1"), Locked("b", "1")])


def test_an_advisory_fails_the_audit_and_says_which_release_repairs_it() -> None:
    status, lines = run(Databases(pypi=(CANARYS, Report(2, (), (BAD,)))))
    assert status == 1
    assert lines[0] == "b 1: PYSEC-1, CVE-1; fixed in 2"


@pytest.mark.parametrize("by", ["PYSEC-1", "CVE-1"])
def test_an_accepted_advisory_is_printed_and_does_not_fail(by: str) -> None:
    status, lines = run(Databases(pypi=(CANARYS, Report(2, (), (BAD,)))), {by: "until vLLM moves its pin"})
    assert status == 0
    assert "accepted" in lines[0]


def test_packages_that_the_database_does_not_have_are_named() -> None:
    _, lines = run(Databases(pypi=(CANARYS, Report(1, ("b",), ()))))
    assert lines[0] == "not known to pypi, so not audited: b"


def test_a_database_that_stops_answering_is_a_failure_not_a_skip() -> None:
    class Stops(Databases):
        def __call__(self, service: str, releases: list[Locked]) -> Report:
            if releases != [CANARY]:
                raise Unanswered("pypi: gone")
            return super().__call__(service, releases)

    status, [line] = run(Stops(pypi=CANARYS))
    assert status == 1
    assert "pypi: gone" in line


def test_an_accepted_advisory_has_a_reason() -> None:
    assert all(ACCEPTED.values())


def test_a_package_with_two_releases_is_looked_up_in_two_rounds() -> None:
    one, two, other = Locked("a", "1"), Locked("a", "2"), Locked("b", "1")
    assert rounds([one, two, other]) == [[one, other], [two]]


def test_pip_audits_answer_is_read() -> None:
    answer = {
        "dependencies": [
            {"name": "a", "version": "1", "vulns": []},
            {"name": "b", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"], "aliases": ["CVE-1"]}]},
            {"name": "c", "skip_reason": "Dependency not found on PyPI"},
        ],
        "fixes": [],
    }
    assert report_of(answer) == Report(2, ("c",), (BAD,))


_PIP_AUDIT = """
import json, sys
lines = open(sys.argv[sys.argv.index("--requirement") + 1]).read().split()
names = [line.split("==") for line in lines]
print(json.dumps({"dependencies": [{"name": n, "version": v, "vulns": []} for n, v in names], "fixes": []}))
assert lines == ["torch==2.13.0", "six==1.17.0"], lines
"""


@pytest.mark.parametrize("broken", [False, True], ids=["answers", "fails"])
def test_pip_audit_is_asked_about_public_versions_whatever_their_markers(
    broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import sys; sys.exit('ConnectionError: no such host')" if broken else _PIP_AUDIT
    (tmp_path / "pip_audit.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    releases = [Locked("torch", "2.13.0+cpu"), Locked("six", "1.17.0", "python_version >= '4'")]
    if broken:
        with pytest.raises(Unanswered, match="osv: ConnectionError: no such host"):
            pip_audit("osv", releases)
    else:
        assert pip_audit("osv", releases) == Report(2, (), ())


def test_every_line_of_the_lock_is_read() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    releases = releases_in(lock)
    assert len(releases) == sum("==" in line and not line.startswith((" ", "#")) for line in lock.splitlines())
    assert sum(len(release.sha256) for release in releases) == lock.count("--hash=sha256:")
    assert [release.name for release in all_releases() if not release.sha256] == ["torch"]


@pytest.mark.parametrize("group", ["supply", "kube"])
def test_the_lock_of_the_tools_has_what_is_asked_for(group: str) -> None:
    tools = {release.name: release for release in releases_in((ROOT / f"deploy/dev/{group}.lock").read_text())}
    for requirement in map(Requirement, PYPROJECT["dependency-groups"][group]):
        assert requirement.specifier.contains(tools[requirement.name].version), (
            f"{requirement} has moved: run make lock"
        )
    assert all(release.sha256 for release in tools.values())


def test_torch_is_the_release_that_the_set_up_installs() -> None:
    assert torch_in("x=1\ntorch=2.13.0+cpu\ntorch_index=https://a\n") == Locked("torch", "2.13.0+cpu")
    with pytest.raises(SystemExit):
        torch_in("torch_index=https://a\n")
