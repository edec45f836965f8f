"""Real Chromium, with real keys, on `forefill web` before a server: each test of tests/browser/*.test.js is one here.

At every SUBMIT the server goes by its own draft, which has to be what the box showed: tests/support/submit_witness.py.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest
from forefill_client.keystrokes import SAMPLE_SCHEMA

from tests.support.browser_stage import Scene, stage
from tests.support.node_tests import BROWSER, Ran, missing, names_in, ran

SLOW = Scene(answer_tokens=40, tokens_a_second=20)
PROSE = "Twelve patients were admitted to cardiology in November; nine of them are still here. "
SCENES = {
    "accessibility": SLOW,
    "answers": SLOW,
    "network": SLOW,
    "markup": Scene(
        answer='<img src="/nowhere" onerror="window.ran = true"><script>window.ran = true</script> & <b>bold</b>'
    ),
    "screenshots": Scene(
        system=SAMPLE_SCHEMA, answer=PROSE, answer_tokens=20, tokens_a_second=50, prompt_tokens_a_second=2000
    ),
}
"""How the server answers in the tests of a file; default: at once."""
FILES = sorted(BROWSER.glob("*.test.js"))
CASES = [
    pytest.param(file, name, id=f"{file.name.partition('.')[0]}: {name}") for file in FILES for name in names_in(file)
]

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(bool(missing()) and os.environ.get("CI") != "true", reason=missing()),
]


@runtime_checkable
class _Case(Protocol):
    """An item of pytest that has parameters."""

    callspec: Any


class Files:
    """The files that were run so far: all wanted tests of one at a time, when the first of them is asked for."""

    def __init__(self, wanted: Sequence[pytest.Item]) -> None:
        self._wanted = wanted
        self._ran: dict[Path, Ran] = {}

    async def failure(self, file: Path, name: str) -> str:
        """Return why a test failed; "" if it passed."""
        if file not in self._ran:
            self._ran[file] = await self._run(file)
        ran = self._ran[file]
        if name not in ran.failures:
            return f"it was not run: {ran.output}"
        return ran.failures[name] and f"{ran.failures[name]}\n{ran.output}"

    async def _run(self, file: Path) -> Ran:
        params = (item.callspec.params for item in self._wanted if isinstance(item, _Case))
        names = [one["name"] for one in params if one.get("file") == file]
        async with stage(SCENES.get(file.name.partition(".")[0], Scene())) as there:
            return await ran(file, names, FOREFILL_PANEL=there.panel, FOREFILL_PAGE=there.page)


@pytest.fixture(scope="module")
def files(request: pytest.FixtureRequest) -> Files:
    """All files."""
    if reason := missing():
        pytest.fail(reason)  # in continuous integration; elsewhere the tests are skipped
    return Files(request.session.items)


@pytest.mark.parametrize(("file", "name"), CASES)
async def test_in_chromium(files: Files, file: Path, name: str) -> None:
    if failure := await files.failure(file, name):
        pytest.fail(failure, pytrace=False)
