#!/usr/bin/env python3
"""Look up every locked package in a database of advisories, with pip-audit: make audit.

Silence is no all-clear: of a mirror that serves packages and no advisories, pip-audit says "No known vulnerabilities
found", and exits with 0. So `CANARY`, an old release with known advisories, is looked up first. A database that does
not report it is not used, and without any database the audit is skipped in so many words.
"""

# ruff: noqa: T201 - it talks to people
import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from deploy.dev.locked import ROOT, Locked, all_releases, releases_in

TOOLS_LOCKS = [ROOT / "deploy" / "dev" / name for name in ("supply.lock", "kube.lock")]
SERVICES = ("pypi", "osv")
"""Databases that pip-audit can ask, in the order in which they are tried."""
CANARY = Locked("pyyaml", "5.3")
"""CVE-2020-1747 and CVE-2020-14343."""
ACCEPTED: dict[str, str] = {
    "CVE-2024-23342": "ecdsa's signatures can be timed, and no release changes that. Only checkov wants it, which "
    "signs nothing here. Until checkov drops it.",
}
"""Advisories that do not fail the audit: their ids, and why and until when. For releases that vLLM itself pins."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One advisory about one locked release."""

    release: str
    advisory: str
    aliases: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        names = ", ".join((self.advisory, *self.aliases))
        return f"{self.release}: {names}; fixed in {', '.join(self.fixed_in) or 'no release yet'}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a database knows about some releases."""

    looked_up: int
    unknown: tuple[str, ...]
    """Packages that it does not have, about which it cannot say anything."""
    findings: tuple[Finding, ...]


def report_of(answer: Mapping[str, Any]) -> Report:
    """Return pip-audit's JSON as a report."""
    looked_up = [package for package in answer["dependencies"] if "skip_reason" not in package]
    return Report(
        len(looked_up),
        tuple(package["name"] for package in answer["dependencies"] if "skip_reason" in package),
        tuple(
            Finding(
                f"{package['name']} {package['version']}",
                known["id"],
                tuple(known.get("aliases", ())),
                tuple(known["fix_versions"]),
            )
            for package in looked_up
            for known in package["vulns"]
        ),
    )


def rounds(releases: Iterable[Locked]) -> list[list[Locked]]:
    """Return the releases in as few lists as have each package once: pip-audit takes no package twice."""
    made: list[list[Locked]] = []
    for release in releases:
        for one_round in made:
            if release.name not in {other.name for other in one_round}:
                one_round.append(release)
                break
        else:
            made.append([release])
    return made


class Unanswered(Exception):
    """Raised when a database does not answer; the message is one line with the cause."""


Ask = Callable[[str, list[Locked]], Report]
"""Asks a service about releases, each package once. Raises `Unanswered`."""


def pip_audit(service: str, releases: list[Locked]) -> Report:
    """Ask a service with pip-audit."""
    with tempfile.TemporaryDirectory() as directory:
        requirements = Path(directory, "requirements.txt")
        # No database knows local versions such as torch's +cpu. Markers are left out: all releases are looked up.
        requirements.write_text("".join(f"{one.name}=={one.version.split('+')[0]}\n" for one in releases))
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps", "--disable-pip"]
        command += ["--vulnerability-service", service, "--format", "json", "--desc", "off", "--aliases", "on"]
        ran = subprocess.run(  # noqa: S603 - our own arguments
            [*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False
        )
    try:
        return report_of(json.loads(ran.stdout))
    except ValueError:
        last_line = (ran.stderr.strip().splitlines() or [f"exit {ran.returncode}"])[-1]
        raise Unanswered(f"{service}: {last_line[:80]}") from None


def usable_service(ask: Ask) -> str:
    """Return the first database that reports the canary. Raise `Unanswered` if there is none."""
    reasons = []
    for service in SERVICES:
        try:
            if ask(service, [CANARY]).findings:
                return service
            reasons.append(f"{service}: no advisories")
        except Unanswered as unanswered:
            reasons.append(str(unanswered))
    raise Unanswered("; ".join(reasons))


def audit(releases: list[Locked], ask: Ask, accepted: Mapping[str, str], *, skip: bool) -> tuple[int, list[str]]:
    """Return the exit status and the lines to print: 1 for a finding that is not accepted, or a database that fails.

    Without a database the status is 0 if the audit may be skipped, else 1.
    """
    try:
        service = usable_service(ask)
    except Unanswered as unanswered:
        return int(not skip), [
            f"audit skipped, nothing was looked up: no database of advisories answers ({unanswered})"
        ]
    try:
        reports = [ask(service, one_round) for one_round in rounds(releases)]
    except Unanswered as unanswered:
        return 1, [f"audit failed in the middle, run it again: {unanswered}"]
    return _verdict(service, reports, accepted)


def _verdict(service: str, reports: Iterable[Report], accepted: Mapping[str, str]) -> tuple[int, list[str]]:
    findings = [finding for report in reports for finding in report.findings]
    bad = [finding for finding in findings if not {finding.advisory, *finding.aliases} & accepted.keys()]
    lines = [str(finding) for finding in bad]
    lines += [f"{finding} (accepted, see ACCEPTED)" for finding in findings if finding not in bad]
    if unknown := sorted({name for report in reports for name in report.unknown}):
        lines.append(f"not known to {service}, so not audited: {', '.join(unknown)}")
    looked_up = sum(report.looked_up for report in reports)
    return int(bool(bad)), [*lines, f"{looked_up} releases looked up in {service}: {len(bad)} advisories to act on"]


def main() -> int:
    """Print what is known about the locked releases, and return the exit status."""
    parser = argparse.ArgumentParser(description="Look up all locked packages in a database of advisories.")
    parser.add_argument("--no-skip", action="store_true", help="fail if no database can be reached")
    arguments = parser.parse_args()
    tools = [release for lock in TOOLS_LOCKS for release in releases_in(lock.read_text(encoding="utf-8"))]
    releases = {*all_releases(), *tools}
    ordered = sorted(releases, key=lambda release: (release.name, release.version))
    status, lines = audit(ordered, pip_audit, ACCEPTED, skip=not arguments.no_skip)
    print(*(f"forefill: {line}" for line in lines), sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
