"""The flags of `forefill bench`."""

import argparse
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from forefill_client import arguments

from .bench_command import BenchCommand, run
from .typing.arms import ARMS
from .typing.schedule import Pace
from .typing.workloads import WORKLOADS

EXAMPLES = """\
examples:
  forefill bench                                            start what is needed, measure everything: about an hour
  forefill bench --workloads context --arms cold,static,typed --queries 5
  forefill bench --workloads load --typists 12 --rounds 3 --json out.json --plot out
  forefill bench --target HOST:50051 --direct http://HOST:8000   use running servers
"""
_DEFAULTS = BenchCommand()


def add_bench(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "bench",
        help="measure every way of serving, alone and under load",
        description=_description(),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_servers(parser)
    _add_measures(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every request and the summary there")
    parser.add_argument(
        "--plot", type=Path, metavar="PREFIX", help="draw PREFIX-ttft and PREFIX-neighbours, PNG and SVG"
    )
    parser.set_defaults(start=_start)


def _description() -> str:
    lines = ["Serve the same SUBMITs in several ways, interleaved in one run, and compare.", "", "arms:"]
    lines += [f"  {name:10}{arm.about}" for name, arm in ARMS.items()]
    lines += ["", "workloads:", *(f"  {name:10}{workload.about}" for name, workload in WORKLOADS.items())]
    return "\n".join(lines)


def _add_servers(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--target", metavar="HOST:PORT", help="a running forefill-server (default: start one)")
    add("--direct", metavar="URL", help="a running vLLM for `direct` and `remote` (default: start one where needed)")
    add("--remote", metavar="HOST:PORT", help="a running forefill-server in front of that one, for the arm `remote`")
    add("--direct-model", metavar="NAME", help="the model's name there (default: the first that it serves)")
    add("--server-args", default="", metavar="ARGS", help="more arguments for our own forefill-server, in one text")
    add("--vllm-args", default="", metavar="ARGS", help="more arguments for our own vLLM, in one text")


def _add_measures(parser: argparse.ArgumentParser) -> None:
    def add(flag: str, kind: Any, metavar: str, text: str, default: Any) -> None:
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else f"{default:g}"
        parser.add_argument(flag, type=kind, default=default, metavar=metavar, help=f"{text} (default: {shown})")

    names, pace, ours = arguments.names_of, _DEFAULTS.pace, _DEFAULTS
    add("--workloads", names(WORKLOADS), "A,B", "what is served", ours.workloads)
    add("--arms", names(ARMS), "A,B", "how it is served", ours.arms)
    add("--queries", arguments.count, "N", "queries of each arm, where one user types alone", ours.queries)
    add("--mean-delay-ms", arguments.positive, "MS", "from key to key, where one user types alone", ours.mean_delay_ms)
    add("--typists", arguments.counts, "N,N", "load: how many type at the same time", ours.typists)
    add("--seconds", arguments.positive, "S", "load: how long a window is counted", pace.seconds)
    add("--rounds", arguments.count, "N", "load: windows of each arm and number of typists", ours.rounds)
    add("--cycle-seconds", arguments.positive, "S", "load: from one Enter of a typist to the next", pace.cycle_seconds)
    add("--background-rate", arguments.not_negative, "R", "load: plain generations a second", pace.background_rate)
    add("--load-mean-delay-ms", arguments.positive, "MS", "load: from key to key, as people type", pace.mean_delay_ms)
    add("--pause-ms", arguments.not_negative, "MS", "how long `pregen` waits before Enter", ours.pause_ms)
    add("--max-tokens", arguments.count, "N", "most tokens of an answer", ours.max_tokens)
    add("--seed", int, "N", "makes keys, arrivals and order repeatable", ours.seed)


def _start(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    return run(
        BenchCommand(
            target=options.target,
            direct=options.direct,
            direct_model=options.direct_model,
            remote=options.remote,
            server_args=options.server_args,
            vllm_args=options.vllm_args,
            workloads=options.workloads,
            arms=options.arms,
            queries=options.queries,
            mean_delay_ms=options.mean_delay_ms,
            typists=options.typists,
            pace=Pace(
                seconds=options.seconds,
                cycle_seconds=options.cycle_seconds,
                background_rate=options.background_rate,
                mean_delay_ms=options.load_mean_delay_ms,
            ),
            rounds=options.rounds,
            pause_ms=options.pause_ms,
            max_tokens=options.max_tokens,
            seed=options.seed,
            json_file=options.json,
            plot_prefix=options.plot,
        )
    )
