"""Test files for Node, run so that each of their tests is one here."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

BROWSER = Path(__file__).parents[1] / "browser"
SECONDS_TO_GIVE_UP = 280
_TEST = re.compile(r'^test\("([^"]+)"', re.MULTILINE)


def missing() -> str:
    """Return why the tests in a browser cannot be run; "" if they can."""
    if shutil.which("node") is None:
        return "node is missing: install Node 20 or later"
    if shutil.which("chromium") is None and shutil.which("chromium-browser") is None:
        return "Chromium is missing: run make browser"
    if not (BROWSER / "node_modules" / "playwright-core").is_dir():
        return "the Node packages of tests/browser are missing: run make browser"
    return ""


def names_in(file: Path) -> list[str]:
    """Return the names of its tests, each `test("NAME", ...)` at the beginning of a line."""
    return _TEST.findall(file.read_text())


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of the tests of a file: for each why it failed, "" if it passed; and all other output."""

    failures: Mapping[str, str]
    output: str


async def ran(file: Path, names: Iterable[str], **environment: str) -> Ran:
    """Run these tests of a file."""
    patterns = (f"--test-name-pattern=^{re.escape(name)}$" for name in names)
    process = await asyncio.create_subprocess_exec(
        *("node", f"--test-reporter={BROWSER / 'json_lines.js'}", *patterns, str(file)),
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS_TO_GIVE_UP):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _read(out.decode(errors="replace"))


def _read(output: str) -> Ran:
    failures, others = dict[str, str](), list[str]()
    for line in output.splitlines():
        if line.startswith('{"name":'):
            told = json.loads(line)
            failures[told["name"]] = told["failure"]
        else:
            others.append(line)
    return Ran(failures, "\n".join(others))
