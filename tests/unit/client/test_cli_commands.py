"""The `forefill` program from outside: what it prints where, and how it exits."""

import asyncio
import json
import signal
from pathlib import Path

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import FinishReason
from forefill_client.cli import main
from forefill_client.keystrokes import StrokeKind, Trace, read_trace
from forefill_client.type_command import _ENDED_BY

from tests.support.client_program import forefill, output
from tests.support.scripted_service import Wire, serving


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


@pytest.mark.parametrize("json_flag", [(), ("--json",)])
async def test_an_empty_answer_is_a_failure(json_flag: tuple[str, ...]) -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.answer((await wire.until("submit")).seq, " \n")
        await wire.until("end")

    async with serving(script) as address:
        code, _, err = await output(await forefill(*TYPE, address, *json_flag))
    assert code == 1
    assert err.splitlines()[-1].startswith("forefill: the answer is empty: ")


async def test_an_answer_whose_tokens_all_went_into_thinking_is_not_empty() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        submit = await wire.until("submit")
        await wire.send(generation_delta=pb.GenerationDelta(seq=submit.seq, reasoning="Hm."))
        await wire.answer(submit.seq)
        await wire.until("end")

    async with serving(script) as address:
        code, out, _ = await output(await forefill(*TYPE, address))
    assert (code, out) == (0, "")


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
        (["type", "x", "--typist", "robot"], "invalid choice: 'robot'"),
        (["type", "x", "--speed", "0"], "give a number above 0, not '0'"),
        (["type", "--seed", "1"], "one of the arguments TEXT --replay is required"),
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


async def typed_at_a_server(*arguments: str) -> tuple[tuple[int, str, str], list[str]]:
    """Run `forefill type` at a server; return its output, and what it sent but for numbers and times."""
    sent: list[str] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        while (event := await wire.event()).WhichOneof("kind") != "end":
            event.ClearField("timestamp_ms")
            sent.append(str(event))
            if event.WhichOneof("kind") == "submit":
                await wire.answer(event.seq, "ok")

    async with serving(script) as address:
        told = await output(await forefill("type", *arguments, "--target", address))
    return told, sent


PERSON = ("Show me all patients", "--seed", "3", "--typo-rate", "0.3", "--speed", "500")


async def test_a_recorded_trace_is_typed_again_stroke_by_stroke(tmp_path: Path) -> None:
    file = str(tmp_path / "trace.jsonl")
    (code, _, _), sent = await typed_at_a_server(*PERSON, "--record", file)
    assert code == 0
    assert any("char_delete" in event for event in sent)
    (code, out, _), again = await typed_at_a_server("--replay", file, "--speed", "500")
    assert (code, out) == (0, "ok\n")
    assert again == sent


@pytest.mark.parametrize("typist", ["human", "gaussian"])
async def test_a_seed_repeats_the_typing_with_its_times(tmp_path: Path, typist: str) -> None:
    for name in ("one", "two"):
        await typed_at_a_server(*PERSON, "--typist", typist, "--record", str(tmp_path / name))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


async def test_the_typists_differ_and_both_end_with_the_text(tmp_path: Path) -> None:
    traces = {}
    for typist in ("human", "gaussian"):
        await typed_at_a_server(*PERSON, "--typist", typist, "--record", str(tmp_path / typist))
        traces[typist] = read_trace(tmp_path / typist)
        assert traces[typist][-1].draft == "Show me all patients"
    assert traces["human"] != traces["gaussian"]
    runs = {typist: longest_run_of_deletions(trace) for typist, trace in traces.items()}
    assert runs["gaussian"] == 1 < runs["human"], "only people notice a typo late"


def longest_run_of_deletions(trace: Trace) -> int:
    longest = run = 0
    for stroke in trace:
        if stroke.kind is not StrokeKind.FLUSH:
            run = run + 1 if stroke.kind is StrokeKind.DELETE else 0
        longest = max(longest, run)
    return longest


async def test_what_was_typed_before_a_failure_is_in_the_record(tmp_path: Path) -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        await wire.until("flush")
        await wire.fail(grpc.StatusCode.UNAVAILABLE, "the engine died; open again", error_reason="ENGINE_UNAVAILABLE")

    async with serving(script) as address:
        code, _, _ = await output(await forefill(*TYPE, address, "--record", str(tmp_path / "trace.jsonl")))
    trace = read_trace(tmp_path / "trace.jsonl")
    assert code == 1
    assert "Show me all".startswith(trace[-1].draft)
    assert "Show " in {stroke.draft for stroke in trace}


async def test_a_record_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    code, out, err = await output(await forefill(*TYPE, "127.0.0.1:1", "--record", str(tmp_path / "no" / "file")))
    assert (code, out) == (1, "")
    assert err.startswith("forefill: [Errno 2] No such file or directory")
    assert err.count("\n") == 1


HEADER = '{"format": "forefill-trace", "version": 1}\n'


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot read FILE: No such file"),
        ("", "FILE: line 1: this is not a trace"),
        (HEADER + '{"at_ms": 0, "kind": "tpye"}', "FILE: line 2: kind is 'tpye'"),
        (HEADER + '{"at_ms": 0, "kind": "type", "text": "a"}', 'FILE: it has no submit: add the line {"at_ms"'),
        (HEADER + '{"at_ms": 0, "kind": "submit"}', "FILE: it submits an empty draft"),
    ],
)
def test_a_wrong_trace_is_refused_before_anything_is_typed(
    content: str | None, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trace.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SystemExit) as caught:
        main(["type", "--replay", str(file)])
    assert caught.value.code == 2
    assert complaint.replace("FILE", str(file)) in capsys.readouterr().err


def test_every_end_of_an_answer_has_a_name() -> None:
    assert _ENDED_BY.keys() == set(FinishReason)
