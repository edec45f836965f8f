"""The demo's measurements, and what it prints of them."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from forefill_bench.demo_arms import DEMO_ARMS, Question, ask, read
from forefill_bench.demo_command import DemoCommand, queries_for, run
from forefill_bench.demo_flags import MOST_QUERIES
from forefill_bench.demo_questions import PEOPLE, QUESTIONS, REST_MS, head_start_ms, typed_question
from forefill_bench.demo_table import Row, as_json, table, verdict
from forefill_bench.live.clock import Clock
from forefill_bench.report.results import Served
from forefill_bench.typing.human import COPYING
from forefill_bench.typing.script import Script, typed_to_enter
from forefill_client.access_flags import Access
from forefill_client.keystrokes import FlushRule, TypingModel
from forefill_client.outcomes import GenerationSource
from forefill_client.server_flags import ServerChoice
from forefill_client.terminal import columns

from tests.support.scripted_service import Wire, connected, serving

COLD, STATIC, WARMED, FOREFILL = DEMO_ARMS


class InstantClock(Clock):
    """A clock that goes on to whatever instant is waited for."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waited_for: list[float] = []

    def now(self) -> float:
        return self.time

    async def until(self, instant: float, *, spin: bool = False) -> None:
        self.time = max(self.time, instant)
        self.waited_for.append(instant)


def named(address: str) -> ServerChoice:
    return ServerChoice(Access(target=address))


def row(question: str, *ttft_ms: float, texts: str = "aaaa", begun: bool = True) -> Row:
    cached = (0, 1184, 1216, 1216)
    outcomes = [
        Served(text=text, ttft_ms=ms, prompt_tokens=1230, cached_tokens=tokens, gaps_ms=(40.0, 40.0))
        for text, ms, tokens in zip(texts, ttft_ms, cached, strict=True)
    ]
    if begun:
        outcomes[-1] = replace(outcomes[-1], source=str(GenerationSource.PREGENERATED))
    return Row(question, dict(zip(DEMO_ARMS, outcomes, strict=True)))


def at_once(text: str, typo_rate: float) -> Script:
    model = TypingModel(mean_delay_ms=0, std_delay_ms=0, typo_rate=typo_rate, flush_rule=FlushRule.WORD)
    return typed_to_enter(text, model, Random(1))


ROWS = [
    row("Show me all", 1200, 90, 60, 1.5),
    row("\u6f22" * 40 + "\n\x1b", 1000, 110, 50, 2),
    row("c", 1100, 100, 80, 80, begun=False),
]


def said(text: str) -> str:
    return " ".join(text.split())


def test_the_json_has_one_entry_for_each_query_and_arm() -> None:
    results = as_json(ROWS)
    assert list(results) == [
        "queries",
        "summary",
        "forefill_vs_cold",
        "forefill_vs_static",
        "warmed_vs_static",
        "begun_before_enter",
        "outputs_equal",
    ]
    assert len(results["queries"]) == 12
    assert results["queries"][2] == {
        "query": "Show me all",
        "arm": "warmed",
        "ttft_ms": 60.0,
        "begun_before_enter": False,
        "prompt_tokens": 1230,
        "cached_tokens": 1216,
        "text": "a",
    }
    assert results["queries"][3]["begun_before_enter"] is True
    assert results["summary"] == {
        "cold": {"ttft_ms_median": 1100.0},
        "static": {"ttft_ms_median": 100.0},
        "warmed": {"ttft_ms_median": 60.0},
        "forefill": {"ttft_ms_median": 2.0},
    }
    assert results["forefill_vs_cold"] == 550.0
    assert results["forefill_vs_static"] == 50.0
    assert results["warmed_vs_static"] == 1.667
    assert results["begun_before_enter"] == 2
    assert results["outputs_equal"] is True


def test_the_table_fits_100_columns() -> None:
    rows = [*ROWS, row("d" * 50, 12345, 1234, 1234, 1234, texts="abcd")]
    text = table(rows)
    assert max(columns(line) for line in text.splitlines()) <= 100
    assert "\x1b" not in text


def test_each_question_says_whether_its_answer_was_begun_before_enter() -> None:
    lines = table(ROWS).splitlines()
    (begun,) = (line for line in lines if line.startswith("Show me all"))
    (not_begun,) = (line for line in lines if line.startswith("c "))
    assert begun.split()[3:] == ["1200", "90.0", "60.0", "1.5", "yes", "1230", "0", "1184", "1216", "1216", "yes"]
    assert not_begun.split()[1:] == ["1100", "100", "80.0", "80.0", "no", "1230", "0", "1184", "1216", "1216", "yes"]


def test_the_verdict_compares_with_cold_with_static_and_without_beginnings() -> None:
    assert verdict(ROWS) == (
        "forefill answers 550x sooner than cold and 50x sooner than static (medians).\n"
        "2 of 3 answers were begun before Enter. Without that, warmed answers 1.7x sooner than static."
    )


def test_the_verdict_says_so_if_forefill_is_later() -> None:
    assert "2.0x sooner than cold and 2.5x later than static" in verdict([row("a", 1000, 200, 100, 500, begun=False)])


@pytest.mark.parametrize("warmed_ms", [96, 100, 130])
def test_the_verdict_says_why_warming_alone_gains_nothing(warmed_ms: float) -> None:
    assert said(verdict([row("a", 1000, 100, warmed_ms, 2)])).endswith(
        "warmed alone gains nothing over static here: a step of this engine takes 40 ms, and each 32 tokens of a prompt"
        " 25 ms more. Of a short question over a cached prompt little is left to gain: static had 46 tokens to compute"
        " after Enter, and warmed 14."
    )


def test_the_verdict_says_so_if_the_engine_was_not_done_at_enter() -> None:
    late = row("a", 6000, 100, 4000, 4000, begun=False)
    late.served[WARMED] = replace(late.served[WARMED], cached_tokens=256)
    assert said(verdict([late])).endswith(
        "the engine was not done in time. warmed had 974 tokens to compute after Enter, and static 46."
    )


def test_answers_of_one_piece_tell_nothing_of_a_step() -> None:
    one_piece = row("a", 1000, 100, 100, 2)
    for arm, served in one_piece.served.items():
        one_piece.served[arm] = replace(served, gaps_ms=())
    assert "warmed alone gains nothing over static here: of a short question" in said(verdict([one_piece]))


def test_answers_that_differ_are_shown_with_the_reason() -> None:
    rows = [row("a", 1, 1, 1, 1, texts="xxyx"), row("b", 1, 1, 1, 1)]
    assert "NO: in 1 of 2 queries warmed gave another answer than cold" in table(rows)
    assert "NO" not in table(ROWS)
    assert as_json(rows)["outputs_equal"] is False


def test_every_question_has_its_own_typist_drawn_by_the_seed() -> None:
    scripts = [typed_question(index, seed=1) for index in range(MOST_QUERIES)]
    assert scripts == [typed_question(index, seed=1) for index in range(MOST_QUERIES)]
    assert scripts != [typed_question(index, seed=2) for index in range(MOST_QUERIES)]
    for question, script in zip(QUESTIONS, scripts, strict=True):
        assert script[-1].draft.rstrip("?.!") == question.rstrip("?")
        assert script[-1].at_ms > script[-2].at_ms
    assert {script[-1].draft[-1] in "?.!" for script in scripts} == {True, False}


def test_the_typists_are_faster_than_most_but_pause_alike() -> None:
    assert replace(PEOPLE, pace_ms=COPYING.pace_ms) == COPYING
    assert PEOPLE.pace_ms < COPYING.pace_ms


def test_the_box_is_opened_early_enough_for_the_prompt_to_be_cached_before_enter() -> None:
    script = typed_question(1, seed=1)
    assert head_start_ms(script, 6500) + script[-1].at_ms > 6500 + REST_MS
    assert head_start_ms(script, script[-1].at_ms / 2 - REST_MS) == 0


def test_a_slow_engine_gets_fewer_questions() -> None:
    assert queries_for(3000) == 5
    assert queries_for(8500) == 3


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
        assert (await ask(client, DEMO_ARMS[arm], question, InstantClock())).text == "SHOW ME ALL, PLEASE"


@pytest.mark.parametrize("arm", DEMO_ARMS)
async def test_every_arm_presses_enter_at_the_same_instant_of_the_typing(arm: str) -> None:
    script, clock = typed_question(0, seed=1), InstantClock()
    async with connected(answer_everything) as client:
        served = await ask(client, DEMO_ARMS[arm], Question(script), clock)
    assert clock.waited_for[-1] == pytest.approx(script[-1].at_ms / 1000)
    assert served.late_ms == 0


@pytest.mark.parametrize("arm", DEMO_ARMS)
async def test_all_but_cold_open_the_box_as_early_as_the_prompt_takes(arm: str) -> None:
    script, clock = typed_question(0, seed=1), InstantClock()
    async with connected(answer_everything) as client:
        await ask(client, DEMO_ARMS[arm], Question(script, reading_ms=60_000), clock)
    early_ms = 0.0 if arm == COLD else head_start_ms(script, 60_000)
    assert clock.waited_for[-1] == pytest.approx((early_ms + script[-1].at_ms) / 1000)


async def test_how_long_a_prompt_takes_to_be_cached_is_measured_by_a_flush() -> None:
    clock = InstantClock()

    async def slow(wire: Wire) -> None:
        await wire.open()
        flush = await wire.until("flush")
        clock.time += 7.0
        await wire.warmed(flush)
        await wire.answer((await wire.until("submit")).seq, "ok")
        await wire.until("end")

    async with connected(slow) as client:
        assert await read(client, Question(at_once("a", typo_rate=0.0)), clock) == pytest.approx(7000)


async def test_enter_waits_until_static_is_prepared_and_the_engine_has_rested() -> None:
    clock = InstantClock()

    async def slow(wire: Wire) -> None:
        await wire.open()
        flush = await wire.until("flush")
        clock.time = 100.0
        await wire.warmed(flush)
        await wire.answer((await wire.until("submit")).seq, "ok")
        await wire.until("end")

    async with connected(slow) as client:
        await ask(client, DEMO_ARMS[STATIC], Question(typed_question(0, seed=1)), clock)
    assert clock.waited_for == [pytest.approx(100.0 + REST_MS / 1000)]


async def test_the_arms_differ_in_what_they_send_before_submit() -> None:
    sent: list[list[str]] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        opening = wire.opening
        sent.append([str(opening.warm_mode), str(opening.pregeneration_mode), str(opening.cache_scope)])
        while (event := await wire.event()).WhichOneof("kind") != "end":
            sent[-1].append(event.WhichOneof("kind") or "")
            if event.WhichOneof("kind") == "flush":
                await wire.warmed(event)
            elif event.WhichOneof("kind") == "submit":
                await wire.answer(event.seq, "ok")

    question = Question(at_once("a b", typo_rate=0.0))
    async with connected(script) as client:
        for arm in DEMO_ARMS.values():
            await ask(client, arm, question, InstantClock())
    typed = ["char_add", "char_add", "flush", "char_add", "submit"]
    off, auto = "2", "1"
    assert sent == [
        [off, off, "2", "submit"],
        [auto, off, "2", "flush", "submit"],
        [auto, off, "2", *typed],
        [auto, auto, "2", *typed],
    ]


async def test_the_demo_writes_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out.json"
    async with serving(answer_everything) as address:
        command = DemoCommand(server=named(address), json_file=file, queries=1, max_tokens=4, seed=1)
        assert await run(command, InstantClock()) == 0
    results = json.loads(file.read_text())
    assert [entry["arm"] for entry in results["queries"]] == ["cold", "static", "warmed", "forefill"]
    captured = capsys.readouterr()
    assert "forefill answers" in captured.out
    assert f"question 1 of 1, warmed: {results['queries'][0]['query']}" in captured.err


async def test_without_a_number_there_are_as_many_questions_as_the_engine_is_fast(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    async with serving(answer_everything) as address:
        command = DemoCommand(server=named(address), json_file=file, queries=None, max_tokens=4, seed=1)
        await run(command, InstantClock())
    assert len(json.loads(file.read_text())["queries"]) == 5 * len(DEMO_ARMS)


async def test_a_file_that_cannot_be_written_is_known_at_once(tmp_path: Path) -> None:
    command = DemoCommand(
        server=named("127.0.0.1:1"), json_file=tmp_path / "no" / "out.json", queries=1, max_tokens=4, seed=1
    )
    with pytest.raises(FileNotFoundError):
        await run(command)
