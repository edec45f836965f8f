"""The examples of client/examples, run as a newcomer runs them: as programs, against a server on the fake engine."""

import asyncio
import json
import os
import re
import shutil
import sys
from itertools import accumulate
from pathlib import Path

import pytest
from forefill_client import AsyncClient, CacheScope, Sampling, WarmMode
from forefill_service.session.boundary import confirmable

from tests.support.served import Served, served

EXAMPLES = Path(__file__).parents[3] / "client" / "examples"
NODE = EXAMPLES / "node"

SYSTEM = ("system", "You write SQL for a clinic. Answer with one statement.")
SAMPLING = Sampling(temperature=0, max_tokens=64)
TEXTS = {
    "English": "Show me all the patients that were seen last year",
    "accents": "Où sont les e\u0301te\u0301s d'août, s'il vous plaît ? ",
    "beyond the first plane": "患者 👨‍👩‍👧 und 𝔘𝔫𝔦 bitte\u00a0sofort",
}

_no_node = (
    "node is not installed"
    if shutil.which("node") is None
    else "the packages of the Node example are not installed: run make examples"
    if not (NODE / "node_modules").is_dir()
    else ""
)
SDK = pytest.param([sys.executable, str(EXAMPLES / "sdk.py")], id="sdk")
STUBS = pytest.param([sys.executable, str(EXAMPLES / "stubs.py")], id="stubs")
TYPE_JS = pytest.param(
    ["node", str(NODE / "type.js")], id="node", marks=pytest.mark.skipif(bool(_no_node), reason=_no_node)
)


async def run(*command: str) -> tuple[int, str, str]:
    """Run an example; return its exit status, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def plain_answer(address: str, text: str) -> str:
    """Return what a session that neither types nor warms is answered."""
    async with (
        AsyncClient.connect(address) as client,
        client.session([SYSTEM], sampling=SAMPLING, warm_mode=WarmMode.OFF, cache_scope=CacheScope.SESSION) as session,
    ):
        return await (await session.submit(text)).text()


def errors(server: Served) -> dict[str, float]:
    """Return how often the server refused an event or a stream, by reason."""
    (metric,) = (one for one in server.running.backend.metrics.registry.collect() if one.name == "forefill_errors")
    return {sample.labels["reason"]: sample.value for sample in metric.samples if sample.name.endswith("_total")}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("example", [SDK, STUBS, TYPE_JS])
async def test_an_example_prints_the_answer_to_exactly_what_it_typed(example: list[str], text: str) -> None:
    async with served() as server:
        expected = await plain_answer(server.address, text)
        code, out, err = await run(*example, server.address, text)
        assert (code, out) == (0, f"{expected}\n"), err
        assert re.search(r"^\d+ of \d+ tokens were cached$", err, re.MULTILINE)
        assert not any(errors(server).values())


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("example", [STUBS, TYPE_JS])
async def test_an_example_on_the_wire_flushes_as_it_types_and_counts_code_points(example: list[str], text: str) -> None:
    async with served() as server:
        _, _, err = await run(*example, server.address, text)
    confirmed = [int(number) for number in re.findall(r"^FLUSH_OUTCOME_\w+, (\d+) code points", err, re.MULTILINE)]
    flushed = [text[:end] for end, char in enumerate(text, start=1) if char.isspace() or end % 4 == 0]
    assert sorted(confirmed) == list(accumulate(map(confirmable, flushed), max))


@pytest.mark.parametrize("example", [SDK, STUBS, TYPE_JS])
async def test_an_example_whose_question_is_refused_says_why_in_one_line(example: list[str]) -> None:
    async with served() as server:
        code, out, err = await run(*example, server.address, "")
    assert (code, out) == (1, "")
    assert err.startswith("error: there is nothing to ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("example", [STUBS, TYPE_JS])
async def test_an_example_that_finds_no_server_says_so_in_one_line(example: list[str]) -> None:
    code, out, err = await run(*example, "127.0.0.1:1", "Show me all")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_the_packages_of_the_node_example_are_locked_and_come_from_the_public_registry() -> None:
    wanted = json.loads((NODE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = json.loads((NODE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    for name, package in packages.items():
        assert not name or package["integrity"].startswith("sha512-")
        assert package.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/")
