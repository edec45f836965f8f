"""Real Chromium, with real keys, on `forefill web` before a server: each test of tests/browser/*.test.js is one here.

At every SUBMIT the server goes by its own draft, which has to be what the box showed: tests/support/submit_witness.py.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest
import pytest_asyncio
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
    pytest.mark.timeout(600),  # a test may wait for all of its file, and for the file before
    pytest.mark.skipif(bool(missing()) and os.environ.get("CI") != "true", reason=missing()),
]


@runtime_checkable
class _Case(Protocol):
    """An item of pytest that has parameters."""

    callspec: Any


class Files:
    """The files with wanted tests, two of them run at a time: they mostly wait."""

    def __init__(self, wanted: Sequence[pytest.Item]) -> None:
        params = [item.callspec.params for item in wanted if isinstance(item, _Case)]
        self._free = asyncio.Semaphore(2)
        self._runs = {
            file: asyncio.create_task(self._run(file, names))
            for file in FILES
            if (names := [one["name"] for one in params if one.get("file") == file])
        }

    async def failure(self, file: Path, name: str) -> str:
        """Return why a test failed; "" if it passed."""
        ran = await self._runs[file]
        if name not in ran.failures:
            return f"it was not run: {ran.output}"
        return ran.failures[name] and f"{ran.failures[name]}\n{ran.output}"

    async def close(self) -> None:
        """End the runs that nobody has waited for."""
        for run in self._runs.values():
            run.cancel()
        await asyncio.gather(*self._runs.values(), return_exceptions=True)

    async def _run(self, file: Path, names: Sequence[str]) -> Ran:
        async with self._free, stage(SCENES.get(file.name.partition(".")[0], Scene())) as there:
            return await ran(file, names, FOREFILL_PANEL=there.panel, FOREFILL_PAGE=there.page)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def files(request: pytest.FixtureRequest) -> AsyncIterator[Files]:
    """All files."""
    if reason := missing():
        pytest.fail(reason)  # in continuous integration; elsewhere the tests are skipped
    files = Files(request.session.items)
    yield files
    await files.close()


@pytest.mark.parametrize(("file", "name"), CASES)
async def test_in_chromium(files: Files, file: Path, name: str) -> None:
    if failure := await files.failure(file, name):
        pytest.fail(failure, pytrace=False)
