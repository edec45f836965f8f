"""`forefill plan` against the real benchmark: the same typists, keys and arrivals, once measured and once simulated.

Takes result files of `forefill bench --workloads load --json FILE`, plays each of their windows again on the simulated
replica, with prompts of the same lengths, and prints both, and the error of the simulation. In brackets are the 95 %
interval of the measurement, and the simulations of an engine that is faster and slower by a few percent: if these are
far apart, no simulation is closer than the engine's figures are. The figures are flags, as of `forefill plan`;
tests/benchmarks/engine_figures.py measures them.

    python tests/benchmarks/plan_check.py load.json [more.json] [--decode-ms 18 ...]
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy
from forefill_bench.capacity.estimate import QUESTION_TOKENS
from forefill_bench.live.load import BACKGROUND_TOKENS
from forefill_bench.plan_flags import add_replica, replica_of
from forefill_bench.report.spread import Sample
from forefill_bench.sim.outcome import SimulatedOutcome
from forefill_bench.sim.scenario import SIMULATED_ARMS, ReplicaSpec, Use
from forefill_bench.sim.simulate import simulate
from forefill_bench.typing.arms import ARMS
from forefill_bench.typing.schedule import Pace, Window, plan_load
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import FakeChat

HEAD: Final = (
    "typists  arm     n   p50 measured              simulated           off"
    "   p95 measured              simulated           off   cached measured  simulated"
)


@dataclass(frozen=True, slots=True)
class Measured:
    """The benchmark's results of one arm and number of typists; time in milliseconds."""

    submits: int
    ttft_ms: Sample
    cached_share: float
    #: Tokens before the draft, by the session's number.
    contexts: dict[int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--spread", type=float, default=0.05, help="how much faster and slower (default: %(default)s)")
    add_replica(parser)
    options = parser.parse_args()
    print(HEAD)
    for file in options.files:
        check(json.loads(file.read_text(encoding="utf-8")), replica_of(options), options.spread)


def check(results: dict[str, Any], replica: ReplicaSpec, spread: float) -> None:
    """Print a line for every arm and number of typists of a result file."""
    for typists in results["meta"]["flags"]["typists"]:
        for arm in (arm for arm in SIMULATED_ARMS if any(row["arm"] == arm for row in results["requests"])):
            measured = measured_of(results, arm, typists)
            faster, same, slower = (
                [
                    simulate(one, use_of(results), window, arm, contexts=measured.contexts)
                    for window in windows(results, typists)
                ]
                for one in (scaled(replica, 1 - spread), replica, scaled(replica, 1 + spread))
            )
            print(line(typists, arm, measured, faster, same, slower), flush=True)


def scaled(replica: ReplicaSpec, times: float) -> ReplicaSpec:
    """Return a replica on which everything takes `times` as long."""
    per_second = replica.prefill_tokens_per_second / times
    taking = ("decode_ms", "attention_ms", "request_ms", "read_ms", "overhead_ms")
    changes = {name: getattr(replica, name) * times for name in taking}
    return replace(replica, prefill_tokens_per_second=per_second, **changes)


def windows(results: dict[str, Any], typists: int) -> list[Window]:
    """Return the windows that the benchmark played with that many typists, one for each round."""
    flags, seed = results["meta"]["flags"], results["meta"]["seed"]
    cells = plan_load([ARMS["typed"]], flags["typists"], flags["rounds"], Pace(**flags["pace"]), 0.0, seed)
    return [cell.window for cell in cells if cell.window.typists == typists]


def use_of(results: dict[str, Any]) -> Use:
    """Return the use that has prompts and answers as long as the measured ones."""
    flags = results["meta"]["flags"]
    rows = [row for row in results["requests"] if row["workload"] == "load"]
    return Use(
        context_tokens=round(fmean(row["prompt_tokens"] for row in rows)) - QUESTION_TOKENS,
        answer_tokens=round(fmean(row["completion_tokens"] for row in rows)),
        background_tokens=BACKGROUND_TOKENS,
        cycle_seconds=flags["pace"]["cycle_seconds"],
        background_rate=flags["pace"]["background_rate"],
    )


def measured_of(results: dict[str, Any], arm: str, typists: int) -> Measured:
    """Return the measurement, without the requests that have no answer."""
    rows = [
        row for row in results["requests"] if (row["workload"], row["typists"], row["arm"]) == ("load", typists, arm)
    ]
    rows = [row for row in rows if row["ttft_ms"] is not None]
    return Measured(
        len(rows),
        Sample.single([row["ttft_ms"] for row in rows], results["meta"]["seed"]),
        sum(row["cached_tokens"] for row in rows) / sum(row["prompt_tokens"] for row in rows),
        {row["index"]: row["prompt_tokens"] - asked_tokens(row["query"]) for row in rows},
    )


def asked_tokens(query: str) -> int:
    """Return how many tokens of the simulated prompt are the question and the template's end."""
    chat = FakeChat()
    return len(chat.encode(chat.render(Conversation((ChatMessage("user", query),))))) - len(
        chat.encode("<|start|>user\n")
    )


def line(typists: int, arm: str, measured: Measured, *speeds: Sequence[SimulatedOutcome]) -> str:
    """Return one line of the table; `speeds` are those of a faster, the given, and a slower engine."""
    cells = [f"{typists:7}  {arm:6}{measured.submits:4}"]
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        real, (low, high) = measured.ttft_ms.figure(name), measured.ttft_ms.interval(name)
        fast, same, slow = (
            numpy.quantile([value for outcome in outcomes for value in outcome.ttft_ms], share) for outcomes in speeds
        )
        cells.append(f"{real:15.0f} {f'({low:.0f}-{high:.0f})':15}{same:7.0f} {f'({fast:.0f}-{slow:.0f})':13}")
        cells.append(f"{same / real - 1:+5.0%}")
    outcomes = speeds[1]
    cached = sum(outcome.cached_tokens for outcome in outcomes) / sum(outcome.prompt_tokens for outcome in outcomes)
    return "".join(cells) + f"{measured.cached_share:18.1%}{cached:11.1%}"


if __name__ == "__main__":
    main()
