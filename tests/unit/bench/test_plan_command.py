"""The whole command: flags in; tables, a result file and a figure out."""

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from forefill_bench.plan_command import Stopped, make_plan, run
from forefill_bench.plan_flags import EXAMPLES
from forefill_bench.plan_options import PlanCommand
from forefill_bench.report.plan_values import max_sessions
from forefill_bench.sim.scenario import ReplicaSpec, Use
from forefill_client import ForefillError
from forefill_client.cli import main
from forefill_client.terminal import Terminal
from forefill_service.settings import Settings

QUICK: dict[str, Any] = {
    "typists": (10, 1000),
    "replica": ReplicaSpec(prefill_tokens_per_second=400, decode_ms=30, cache_tokens=8000),
    "use": Use(context_tokens=100, words_per_minute=200, cycle_seconds=8, answer_tokens=2),
    "submits": 10,
}


async def plan(**options: Any) -> int:
    return await run(PlanCommand(**QUICK | options))


async def test_a_plan_has_paper_simulations_and_fleets_in_file_and_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.json"
    assert await plan(json_file=file) == 0
    told = json.loads(file.read_text())
    assert list(told) == ["meta", "paper", "replica", "most_typists", "fleets"]
    assert told["meta"]["flags"]["use"]["context_tokens"] == 100
    assert {outcome["arm"] for outcome in told["replica"]} == {"cold", "static", "typed"}
    assert told["most_typists"]["typed"] >= 1
    assert [fleet["typists"] for fleet in told["fleets"]] == [10, 1000]
    assert all(set(fleet["served"]) == {"cold", "static", "typed"} for fleet in told["fleets"])
    captured = capsys.readouterr()
    assert "one typist alone on a replica" in captured.out
    assert "typists on one replica" in captured.out
    assert "\n  1,000  " in captured.out
    assert "typed, 1 typist on a replica: p50 " in captured.err
    assert max(map(len, captured.out.splitlines())) <= 112


async def test_the_file_says_nothing_of_where_it_was_made(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    await plan(json_file=file)
    assert str(tmp_path) not in file.read_text()


async def test_a_target_that_one_typist_misses_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert await plan(target_ms=1.0) == 0
    assert "one typist alone waits longer than that: raise --target-ms" in capsys.readouterr().out


async def test_the_figure_is_written_as_png_and_svg(tmp_path: Path) -> None:
    await plan(plot_prefix=tmp_path / "plan")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plan.png", "plan.svg"]
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_a_plan_that_is_no_longer_wanted_stops() -> None:
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(Stopped):
        make_plan(PlanCommand(**QUICK), Terminal(), stopped)


async def test_a_cache_without_room_for_one_prompt_is_refused_at_once() -> None:
    with pytest.raises(ForefillError, match="raise --cache-tokens"):
        await plan(replica=ReplicaSpec(cache_tokens=100))


async def test_a_file_that_cannot_be_written_is_known_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await plan(json_file=tmp_path / "no" / "plan.json")


async def test_a_cycle_shorter_than_the_typing_is_refused_at_once() -> None:
    with pytest.raises(ForefillError, match="raise --cycle-seconds or --wpm"):
        await plan(use=Use(cycle_seconds=10, words_per_minute=50))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--typists", "10,x"], "give a whole number from 1, not 'x'"),
        (["--shared-tokens", "-1"], "give a whole number from 0"),
        (["--decode-ms", "0"], "give a number above 0"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["plan", *arguments])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_help_has_examples_and_says_how_to_get_the_engines_figures(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plan", "--help"])
    helped = capsys.readouterr().out
    assert EXAMPLES in helped
    assert "give your own" in helped


# --- values for the chart


ONE_FLEET = {"typists": (1000,)}
REPLICA_OF_THE_VALUES = dataclasses.replace(QUICK["replica"], block_size=16, max_batched_tokens=256, max_sequences=9)
CHART_VALUES = Path(__file__).parents[3] / "deploy" / "helm" / "forefill" / "values.yaml"


async def values(tmp_path: Path, **options: Any) -> tuple[str, Any]:
    """Plan one fleet; return the text of the values, and what Helm reads in it."""
    file = tmp_path / "fleet.yaml"
    assert await plan(values_file=file, **ONE_FLEET | options) == 0
    text = file.read_text()
    return text, yaml.safe_load(text)


async def test_the_values_are_those_of_the_fleet_that_was_planned(tmp_path: Path) -> None:
    json_file = tmp_path / "plan.json"
    text, told = await values(tmp_path, json_file=json_file, replica=REPLICA_OF_THE_VALUES)
    [fleet] = json.loads(json_file.read_text())["fleets"]
    assert told["vllm"]["replicas"] == fleet["replicas"]
    assert told["vllm"]["blockSize"] == 16
    assert told["vllm"]["extraArgs"] == ["--max-num-batched-tokens=256", "--max-num-seqs=9"]
    assert told["replicaCount"] == 2
    assert told["router"] == {"enabled": False}
    assert f"set vllm.replicas to {fleet['hashed']}." in text


async def test_the_values_say_what_they_were_planned_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, _ = await values(tmp_path)
    assert "for 1,000 typists" in text
    assert "target for p95 is 300 ms." in text
    assert "context_tokens 100, " in text.replace("\n#   ", " ")
    assert "cache_tokens 8000, " in text.replace("\n#   ", " ")
    assert "hold 8,000 tokens" in text
    assert max(map(len, text.splitlines())) <= 120
    assert f"wrote {tmp_path / 'fleet.yaml'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typists", "copies", "sessions"), [(1000, 2, 1250), (1000, 5, 313), (1000, 1, 1250), (1, 2, 2)]
)
def test_the_other_copies_have_room_for_the_sessions_of_one_that_is_away(
    typists: int, copies: int, sessions: int
) -> None:
    assert max_sessions(typists, copies) == sessions


async def test_the_settings_among_the_values_are_settings_of_the_service(tmp_path: Path) -> None:
    _, told = await values(tmp_path)
    Settings(**told["settings"])


async def test_the_values_are_values_of_the_chart(tmp_path: Path) -> None:
    _, told = await values(tmp_path)
    chart = yaml.safe_load(CHART_VALUES.read_text())
    assert told.keys() <= chart.keys()
    for name in ("vllm", "router"):
        assert told[name].keys() <= chart[name].keys()


async def test_values_of_several_fleets_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ForefillError, match="give one number with --typists"):
        await plan(values_file=tmp_path / "fleet.yaml")


async def test_without_a_fleet_that_is_fast_enough_no_values_are_written(tmp_path: Path) -> None:
    with pytest.raises(ForefillError, match="no values were written"):
        await values(tmp_path, target_ms=1.0)
    assert list(tmp_path.iterdir()) == []
