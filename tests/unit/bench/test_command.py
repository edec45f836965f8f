"""The whole command: flags in; tables, a result file and plots out."""

import json
from pathlib import Path
from typing import Any

import pytest
from forefill_bench.bench_command import run
from forefill_bench.bench_flags import EXAMPLES
from forefill_bench.bench_options import BenchCommand
from forefill_bench.live.player import NaiveFlush
from forefill_bench.live.targets import BenchTargets
from forefill_bench.live.trial import run_trial
from forefill_bench.report.progress import Progress, bar, left
from forefill_bench.report.results import Served
from forefill_bench.typing.arms import ARMS
from forefill_bench.typing.people import People
from forefill_bench.typing.schedule import Pace, Trial
from forefill_bench.typing.workloads import WORKLOADS, is_of_people
from forefill_client import ForefillError
from forefill_client.access_flags import Access
from forefill_client.cli import main
from forefill_client.server_flags import ServerChoice
from forefill_client.terminal import Terminal
from forefill_service.engine import FakeEngine
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.logged import log_of, user
from tests.support.openai_endpoint import openai_endpoint
from tests.support.still_clock import StillClock

NOWHERE = ServerChoice(Access(target="127.0.0.1:1"))
DEFAULTS = [name for name, workload in WORKLOADS.items() if workload.is_default]
QUICK: dict[str, Any] = {
    "queries": 1,
    "mean_delay_ms": 1.0,
    "typists": (1, 2),
    "pace": Pace(seconds=0.2, cycle_seconds=0.1, background_rate=20.0, mean_delay_ms=1.0),
    "pause_ms": 5.0,
    "people": People(messages=2),
}


async def bench(**options: Any) -> int:
    async with (
        running_server([FakeEngine(context_tokens=16_384)], Settings(port=0, metrics_port=-1)) as server,
        openai_endpoint() as endpoint,
    ):
        named = Access(target=server.address)
        servers: dict[str, Any] = {"server": ServerChoice(named), "remote": named, "direct": endpoint.url}
        return await run(BenchCommand(**servers | QUICK | options))


async def test_a_run_has_every_workload_and_arm_in_file_and_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # People take their time.
    monkeypatch.setattr("forefill_bench.bench_command.Clock", lambda: StillClock(NaiveFlush.TASK_NAME))
    file = tmp_path / "out.json"
    assert await bench(json_file=file) == 0
    results = json.loads(file.read_text())
    assert list(results) == ["meta", "requests", "background", "summary"]
    for workload, cells in results["summary"].items():
        assert list(cells) == (["1", "2"] if workload == "load" else ["2"] if is_of_people(workload) else ["1"])
        for arms in cells.values():
            assert list(arms) == [arm.name for arm in WORKLOADS[workload].arms]
            assert all({"p50", "p95", "p99"} <= set(figures["ttft_ms"]) for figures in arms.values())
    assert list(results["summary"]) == DEFAULTS
    row = results["requests"][0]
    assert {
        "workload",
        "typists",
        "arm",
        "query",
        "ttft_ms",
        "answer_ms",
        "prompt_tokens",
        "cached_tokens",
        "source",
    } <= set(row)
    assert {"workload", "typists", "arm", "ttft_ms", "gaps_ms", "answer_ms"} <= set(results["background"][0])
    captured = capsys.readouterr()
    assert all(f"\n{workload}: " in captured.out for workload in DEFAULTS)
    assert "context 1, typed: " in captured.err


async def test_what_real_people_typed_is_neither_written_nor_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, file = tmp_path / "log.csv", tmp_path / "out.json"
    log.write_text(
        log_of({user(True, 0): ["hallo zusammen", "wie geht es"], user(True, 1): ["guten tag", "bis morgen"]})
    )
    people = People(messages=4, log=log)
    assert await bench(json_file=file, people=people, workloads=("people",), arms=("typed", "pregen")) == 0
    results, captured = json.loads(file.read_text()), capsys.readouterr()
    assert "users kept for judging" in results["meta"]["people"]
    assert str(log) not in file.read_text()
    assert {row["query"] for row in results["requests"]} == {
        f"a message of {length} characters" for length in (9, 10, 11, 14)
    }
    for text in ("hallo", "guten", "morgen"):
        assert text not in file.read_text() + captured.out + captured.err
    assert "users kept for judging" in captured.err


async def test_people_are_shown_with_what_was_begun_before_enter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forefill_bench.bench_command.Clock", lambda: StillClock(NaiveFlush.TASK_NAME))
    assert await bench(workloads=("people-bare",), arms=("typed", "oracle")) == 0
    out = capsys.readouterr().out
    assert "people-bare: people, made up: without any punctuation; 2 typists" in out
    assert "p95/oracle" in out


async def test_the_file_says_on_what_and_how_it_was_made_and_nothing_of_where(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    await bench(json_file=file, workloads=("context",), arms=("cold", "typed"), seed=7)
    meta = json.loads(file.read_text())["meta"]
    assert {"hardware", "versions", "model", "flags", "seed", "started_at", "complete"} <= set(meta)
    assert (meta["seed"], meta["model"], meta["complete"]) == (7, "fake", True)
    assert {"cpu", "cores"} <= set(meta["hardware"])
    assert str(tmp_path) not in json.dumps(meta)
    assert "127.0.0.1" not in json.dumps(meta)


async def test_what_was_measured_is_kept_when_a_run_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaking(targets: BenchTargets, trial: Trial) -> list[Served]:
        if trial.workload.name == "paste":
            raise ForefillError("the server has gone")
        return await run_trial(targets, trial)

    monkeypatch.setattr("forefill_bench.bench_command.run_trial", breaking)
    file = tmp_path / "out.json"
    with pytest.raises(ForefillError, match="has gone"):
        await bench(json_file=file, workloads=("context", "paste"), arms=("cold",))
    results = json.loads(file.read_text())
    assert results["meta"]["complete"] is False
    assert list(results["summary"]) == ["context"]


async def test_a_request_that_fails_is_a_row_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def failing_once(targets: BenchTargets, trial: Trial) -> list[Served]:
        if trial.index == 0:
            raise TimeoutError
        return await run_trial(targets, trial)

    monkeypatch.setattr("forefill_bench.bench_command.run_trial", failing_once)
    assert await bench(queries=2, workloads=("context",), arms=("cold",)) == 0
    captured = capsys.readouterr()
    assert "cold: 1 of 2 requests FAILED" in captured.out
    assert "context 1, cold: failed (TimeoutError)" in captured.err


async def test_plots_are_written_as_png_and_svg(tmp_path: Path) -> None:
    await bench(plot_prefix=tmp_path / "out", workloads=("context", "load"), arms=("cold", "typed", "direct"))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "out-neighbours.png",
        "out-neighbours.svg",
        "out-ttft.png",
        "out-ttft.svg",
    ]
    assert (tmp_path / "out-ttft.png").read_bytes().startswith(b"\x89PNG")


async def test_without_load_there_is_no_plot_of_neighbours(tmp_path: Path) -> None:
    await bench(plot_prefix=tmp_path / "out", workloads=("context",), arms=("cold",))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out-ttft.png", "out-ttft.svg"]


async def test_arms_that_a_workload_does_not_have_are_refused_at_once() -> None:
    with pytest.raises(ForefillError, match="none of these arms"):
        await run(BenchCommand(server=NOWHERE, workloads=("overhead",), arms=("typed",)))


async def test_a_file_that_cannot_be_written_is_known_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await run(BenchCommand(server=NOWHERE, json_file=tmp_path / "no" / "out.json"))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--workloads", "context,nothing"], "there is no 'nothing': choose from short, context"),
        (["--arms", "warm"], "there is no 'warm': choose from cold, static"),
        (["--typists", "1,x"], "give a whole number from 1, not 'x'"),
        (["--pause-ms", "-1"], "give 0 or a number above it"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bench", *arguments])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_help_names_every_arm_and_workload(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    helped = capsys.readouterr().out
    assert all(f"\n  {name} " in helped for name in (*ARMS, *WORKLOADS))
    assert EXAMPLES in helped


def test_progress_says_how_much_is_done_and_how_long_it_takes() -> None:
    assert bar(0.5) == f"[{'#' * 12}{'.' * 12}]  50%"
    assert bar(2) == f"[{'#' * 24}] 100%"
    assert (left(59), left(300), left(-1)) == ("59 s left", "5 min left", "0 s left")


def test_progress_learns_from_what_was_slower_than_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, str]] = []
    terminal = Terminal()
    monkeypatch.setattr(terminal, "draw", lambda text, status="": drawn.append((text, status)))
    now = 0.0
    progress = Progress(terminal, 100, clock=lambda: now)
    progress.draw("a")
    now = 20.0
    progress.did(10)
    progress.draw("b", within_seconds=10)
    assert [status for _, status in drawn] == ["2 min left", "1 min left"]
    assert drawn[1][0].endswith(" 20% b")
