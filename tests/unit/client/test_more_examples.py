"""The examples that stand between forefill and something else: a web page, a database, an application's own call."""

import asyncio
import os
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.server import running_server

from tests.support.browser import Site
from tests.support.fake_vllm import fake_vllm
from tests.support.remote_engine import remote_engine, remote_settings
from tests.support.scripted_service import Wire, serving

EXAMPLES = Path(__file__).parents[3] / "client" / "examples"


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1", **more}


async def answers(wire: Wire, systems: list[str]) -> None:
    """Answer each submit with its text; "long" goes on until it is cancelled, and "no" is refused."""
    await wire.open()
    systems.append(wire.opening.messages[0].content)
    long = 0
    try:
        while (event := await wire.event()).WhichOneof("kind") != "end":
            match event.WhichOneof("kind"):
                case "submit" if event.submit.text == "long":
                    long = event.seq
                    await wire.send(generation_delta=pb.GenerationDelta(seq=long, text="SEL"))
                case "submit" if event.submit.text == "no":
                    await wire.refuse(event.seq, pb.ERROR_REASON_PROMPT_TOO_LONG)
                case "submit":
                    await wire.answer(event.seq, event.submit.text)
                case "cancel":
                    finished = pb.GenerationFinished(seq=long, reason=pb.FINISH_REASON_CANCELLED)
                    await wire.send(generation_finished=finished)
    except StopAsyncIteration:
        return


@asynccontextmanager
async def bridge(address: str) -> AsyncIterator[Site]:
    """Run the bridge on a free port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", "0", "bridge:app"),
        env=environment(FOREFILL=address),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while not (found := re.search(rb"running on (http://\S+)", await process.stderr.readline())):
                assert process.returncode is None
        yield Site(found[1].decode())
    finally:
        process.terminate()
        await process.communicate()


async def test_a_page_types_submits_and_stops() -> None:
    systems: list[str] = []
    async with serving(lambda wire: answers(wire, systems)) as address, bridge(address) as here:
        here.socket_url += "?user=Ann"
        async with here.browser() as page:
            await page.opens()
            await page.types("Show m")
            await page.types("e", composing=True)
            await page.says("hint", likely=True)
            await page.submits(1)
            assert (await page.hears("delta"))["text"] == "Show me"
            assert (await page.hears("finished"))["reason"] == "stop"
            await page.says("submit", turn=2, text="long")
            assert (await page.hears("delta"))["text"] == "SEL"
            await page.says("cancel", turn=2, keep_text=True)
            assert (await page.hears("finished"))["reason"] == "cancelled"
            await page.says("submit", turn=3, text="no")
            assert (await page.hears("error"))["reason"] == "PROMPT_TOO_LONG"
            await page.says("submit", turn=4, text="again")
            assert (await page.hears("delta"))["text"] == "again"
    assert systems[0].endswith("You speak with Ann.")


async def test_a_page_by_another_name_cannot_open_the_socket() -> None:
    async with serving(lambda wire: answers(wire, [])) as address, bridge(address) as here:
        with pytest.raises(websockets.InvalidStatus):
            async with here.browser_of("evil.example"):
                pass


async def text_to_sql(tmp_path: Path, answer: str) -> tuple[int, str, str, list[str]]:
    """Ask a small database, with this answer of the server; return what came, and the system prompt."""
    path = tmp_path / "a clinic.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE patients (name TEXT, beds INT)")
        database.executemany("INSERT INTO patients VALUES (?, ?)", [("Ann", 1), ("Bob", 2)])
    systems: list[str] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        systems.append(wire.opening.messages[0].content)
        await wire.answer((await wire.until("submit")).seq, answer)
        await wire.until("end")

    async with serving(script) as address:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLES / "text_to_sql.py"), address, str(path), "How many?"),
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode(), systems


@pytest.mark.parametrize("answer", ["SELECT name, beds FROM patients", "```sql\nSELECT name, beds FROM patients\n```"])
async def test_the_answer_is_run_on_the_database_whose_schema_was_sent(tmp_path: Path, answer: str) -> None:
    code, out, err, systems = await text_to_sql(tmp_path, answer)
    assert (code, out) == (0, "name | beds\nAnn | 1\nBob | 2\n")
    assert err == "SELECT name, beds FROM patients\n"
    assert "CREATE TABLE patients (name TEXT, beds INT)" in systems[0]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("DELETE FROM patients", "readonly"),
        ("I do not know", "syntax error"),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", "interrupted"),
    ],
)
async def test_an_answer_can_neither_write_nor_run_for_ever(tmp_path: Path, answer: str, error: str) -> None:
    code, out, err, _ = await text_to_sql(tmp_path, answer)
    assert code == 1
    assert error in err
    with sqlite3.connect(tmp_path / "a clinic.db") as database:
        assert database.execute("SELECT count(*) FROM patients").fetchone() == (2,)
    assert not out.startswith("Ann")


@pytest.mark.parametrize(
    ("flags", "asked"),
    [
        ([], {}),
        (["--tool"], {"tool_choice": {"type": "function", "function": {"name": "run_sql"}}}),
        (["--schema"], {}),
        (["--image", "http://pictures/1"], {}),
    ],
)
async def test_the_application_asks_vllm_itself_and_finds_what_was_warmed(
    flags: list[str], asked: dict[str, Any]
) -> None:
    question = "Show me all the patients that were seen by a doctor in the last year, and say when "
    async with (
        fake_vllm(block_size=4) as vllm,
        remote_engine(vllm) as engine,
        running_server([engine], remote_settings(vllm.url, hand_off_url=[vllm.url])) as server,
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLES / "hand_off.py"), server.address, question, *flags),
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = (said.decode() for said in await process.communicate())
    assert process.returncode == 0, err
    assert out.strip()
    [request] = [chat for chat in vllm.chats if chat.get("stream_options")]
    assert request["stream"] is True
    assert {name: request[name] for name in asked} == asked
    assert ("tools" in request) is ("--tool" in flags)
    assert ("response_format" in request) is ("--schema" in flags)
    assert isinstance(request["messages"][-1]["content"], list) is ("--image" in flags)
    said = re.search(r"^(\d+) of (\d+) tokens were warm, (\d+) were found$", err, re.MULTILINE)
    assert said is not None, err
    warm, _, found = map(int, said.groups())
    assert warm <= found, "a warm that was on its way may be there by then"


async def test_an_application_that_may_not_know_where_vllm_is_says_so() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.refuse((await wire.until("hand_off")).seq, pb.ERROR_REASON_HAND_OFF_NOT_OFFERED)
        await wire.until("end")

    async with serving(script) as address:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLES / "hand_off.py"), address, "Show me"),
            env=environment(),
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await process.communicate()
    assert (process.returncode, err.decode()) == (1, "error: what to do next\n")
