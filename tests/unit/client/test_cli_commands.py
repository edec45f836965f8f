"""The `forefill` program from outside: what it prints where, and how it exits."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client.cli import main

from tests.support.scripted_service import Wire, serving


async def forefill(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "forefill_client.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


async def output(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def answer_everything(wire: Wire) -> None:
    await wire.open()
    while (event := await wire.event()).WhichOneof("kind") != "end":
        if event.WhichOneof("kind") == "flush":
            await wire.warmed(event)
        elif event.WhichOneof("kind") == "submit":
            await wire.answer(event.seq, "SELECT", " \x1b[2J*")


TYPE = ("type", "Show me all", "--mean-delay-ms", "1", "--typo-rate", "0", "--seed", "1", "--target")


async def test_type_prints_the_answer_alone_on_standard_output() -> None:
    async with serving(answer_everything) as address:
        code, out, err = await output(await forefill(*TYPE, address))
    assert (code, out) == (0, "SELECT [2J*\n")
    assert "confirmed   5 characters, 48 of 50 tokens cached: warmed" in err
    assert "> Show me all" in err
    assert "48 of 60 prompt tokens were cached" in err
    assert "warmed 48 tokens in 2 requests: 40 used, 8 edited away, 0 evicted, 0 abandoned" in err


async def test_type_says_what_became_of_answers_that_were_begun_before_enter() -> None:
    ledger = pb.Ledger(
        pregenerations=3,
        adopted_engine_ms=40,
        wasted_engine_ms=120.4,
        answer_engine_ms=500,
        pregeneration_outcomes=[
            pb.PregenerationCount(outcome=pb.PREGENERATION_OUTCOME_ADOPTED, count=1),
            pb.PregenerationCount(outcome=pb.PREGENERATION_OUTCOME_EDITED, count=2),
        ],
    )

    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.answer((await wire.until("submit")).seq, "SELECT", ledger=ledger)
        await wire.until("end")

    async with serving(script) as address:
        code, _, err = await output(await forefill(*TYPE, address))
    assert code == 0
    assert (
        "began 3 answers before Enter: 1 adopted, 2 edited; that wasted 120 ms of engine time, and the answer took 500"
        in err
    )


async def test_type_json_prints_one_object_and_nothing_else() -> None:
    async with serving(answer_everything) as address:
        code, out, err = await output(await forefill(*TYPE, address, "--json"))
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert (result["text"], result["answer"], result["model"]) == ("Show me all", "SELECT \x1b[2J*", "scripted")
    assert result["report"]["cached_tokens"] == 48
    assert result["report"]["ledger"]["used_tokens"] == 40
    assert [flush["confirmed_code_points"] for flush in result["flushes"]] == [5, 8]


async def test_no_server_is_one_line_that_says_what_to_do() -> None:
    code, out, err = await output(await forefill(*TYPE, "127.0.0.1:1"))
    assert (code, out) == (1, "")
    assert err.startswith(
        "forefill: no server answered at 127.0.0.1:1 within 3 s, since nothing listens there: start one"
    )
    assert err.count("\n") == 1


async def test_an_error_of_the_server_is_one_line() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.until("flush")
        await wire.fail(grpc.StatusCode.UNAVAILABLE, "the engine died; open again", error_reason="ENGINE_UNAVAILABLE")

    async with serving(script) as address:
        code, _, err = await output(await forefill(*TYPE, address))
    assert code == 1
    assert err.splitlines()[-1] == "forefill: the engine died; open again"
    assert "Traceback" not in err


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
async def test_a_signal_ends_it_without_a_traceback(number: signal.Signals, expected: int) -> None:
    typing = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.event()
        typing.set()
        await asyncio.Event().wait()

    async with serving(script) as address:
        process = await forefill("type", "Show me all", "--target", address)
        await typing.wait()
        process.send_signal(number)
        code, _, err = await output(process)
    assert code == expected
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["type", ""], "give a text that is not empty"),
        (["type", "x", "--wpm", "0"], "give a number above 0, not '0'"),
        (["type", "x", "--wpm", "5", "--mean-delay-ms", "5"], "not allowed with"),
        (["type", "x", "--typo-rate", "2"], "give a number from 0 to 1"),
        (["type", "x", "--max-tokens", "1.5"], "give a whole number from 1"),
        (["type", "x", "--system", "@/no/such/file"], "cannot read /no/such/file"),
        (["demo", "--queries", "1000"], "give 1 to"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["type", "--help"], ["demo", "--help"]])
def test_help_has_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert "examples:\n  forefill " in capsys.readouterr().out


async def test_a_system_prompt_comes_from_a_file(tmp_path: Path) -> None:
    seen: list[str] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(message.content for message in wire.opening.messages)
        submit = await wire.until("submit")
        await wire.answer(submit.seq, "ok")
        await wire.until("end")

    (tmp_path / "schema.sql").write_text("CREATE TABLE \u00e9")
    async with serving(script) as address:
        code, _, _ = await output(await forefill(*TYPE, address, "--system", f"@{tmp_path}/schema.sql"))
    assert (code, seen) == (0, ["CREATE TABLE \u00e9"])
