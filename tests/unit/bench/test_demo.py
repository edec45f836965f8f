"""The demo's measurements, and what it prints of them."""

import json
from pathlib import Path
from random import Random

import pytest
from forefill_bench.demo_arms import DEMO_ARMS, Question, ask
from forefill_bench.demo_command import DemoCommand, Row, as_json, run, table
from forefill_bench.report.results import Served
from forefill_bench.typing.script import Script, typed_to_enter
from forefill_client.keystrokes import FlushRule, TypingModel
from forefill_client.terminal import columns

from tests.support.scripted_service import Wire, connected, serving


def row(query: str, *ttft_ms: float, texts: tuple[str, str, str] = ("a", "a", "a")) -> Row:
    outcomes = [
        Served(text=texts[index], ttft_ms=ms, prompt_tokens=1230, cached_tokens=400 * index)
        for index, ms in enumerate(ttft_ms)
    ]
    return Row(query, dict(zip(DEMO_ARMS, outcomes, strict=True)))


def at_once(text: str, typo_rate: float) -> Script:
    model = TypingModel(mean_delay_ms=0, std_delay_ms=0, typo_rate=typo_rate, flush_rule=FlushRule.WORD)
    return typed_to_enter(text, model, Random(1))


ROWS = [row("Show me all", 1200, 90, 60), row("\u6f22" * 40 + "\n\x1b", 1000, 110, 50), row("c", 1100, 100, 80)]


def test_the_json_has_one_entry_for_each_query_and_arm() -> None:
    results = as_json(ROWS)
    assert list(results) == ["queries", "summary", "typed_vs_cold", "outputs_equal"]
    assert len(results["queries"]) == 9
    assert results["queries"][2] == {
        "query": "Show me all",
        "arm": "typed",
        "ttft_ms": 60.0,
        "prompt_tokens": 1230,
        "cached_tokens": 800,
        "text": "a",
    }
    assert results["summary"] == {
        "cold": {"ttft_ms_median": 1100.0},
        "static": {"ttft_ms_median": 100.0},
        "typed": {"ttft_ms_median": 60.0},
    }
    assert results["typed_vs_cold"] == 18.333
    assert results["outputs_equal"] is True


def test_the_table_fits_100_columns_and_names_both_comparisons() -> None:
    text = table(ROWS)
    assert max(columns(line) for line in text.splitlines()) <= 100
    assert "typed answers 18.3x sooner than cold (median), 1.7x sooner than static." in text
    assert "1200      90      60" in text
    assert "\x1b" not in text


def test_an_answer_that_differs_is_shown() -> None:
    rows = [row("a", 1, 1, 1, texts=("x", "x", "y"))]
    assert "NO" in table(rows)
    assert as_json(rows)["outputs_equal"] is False


async def answer_everything(wire: Wire) -> None:
    """Warm and answer whatever comes."""
    await wire.open()
    while (event := await wire.event()).WhichOneof("kind") != "end":
        if event.WhichOneof("kind") == "flush":
            await wire.warmed(event)
        elif event.WhichOneof("kind") == "submit":
            await wire.answer(event.seq, event.submit.text.upper())


@pytest.mark.parametrize("arm", DEMO_ARMS)
async def test_every_arm_submits_the_text_exactly(arm: str) -> None:
    question = Question(at_once("Show me all, please", typo_rate=0.5))
    async with connected(answer_everything) as client:
        assert (await ask(client, DEMO_ARMS[arm], question)).text == "SHOW ME ALL, PLEASE"


async def test_the_arms_differ_in_what_they_send_before_submit() -> None:
    sent: list[list[str]] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        kinds: list[str] = []
        sent.append([str(wire.opening.warm_mode), str(wire.opening.cache_scope), *kinds])
        while (event := await wire.event()).WhichOneof("kind") != "end":
            sent[-1].append(event.WhichOneof("kind") or "")
            if event.WhichOneof("kind") == "flush":
                await wire.warmed(event)
            elif event.WhichOneof("kind") == "submit":
                await wire.answer(event.seq, "ok")

    question = Question(at_once("a b", typo_rate=0.0))
    async with connected(script) as client:
        for arm in DEMO_ARMS.values():
            await ask(client, arm, question)
    assert sent == [
        ["2", "2", "submit"],
        ["1", "2", "flush", "submit"],
        ["1", "2", "char_add", "char_add", "flush", "char_add", "submit"],
    ]


async def test_the_demo_writes_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out.json"
    async with serving(answer_everything) as address:
        assert await run(DemoCommand(target=address, json_file=file, queries=1, max_tokens=4, seed=1)) == 0
    results = json.loads(file.read_text())
    assert [entry["arm"] for entry in results["queries"]] == ["cold", "static", "typed"]
    captured = capsys.readouterr()
    assert "typed answers" in captured.out
    assert "query 1 of 1, typed: Show me all patients" in captured.err


async def test_a_file_that_cannot_be_written_is_known_at_once(tmp_path: Path) -> None:
    command = DemoCommand(target="127.0.0.1:1", json_file=tmp_path / "no" / "out.json", queries=1, max_tokens=4, seed=1)
    with pytest.raises(FileNotFoundError):
        await run(command)
