"""The flags of `forefill plan`."""

import argparse
from collections.abc import Coroutine
from dataclasses import fields
from pathlib import Path
from typing import Any

from forefill_client import arguments

from .extra import check_extra
from .plan_options import PlanCommand
from .sim.scenario import ReplicaSpec, Use

DESCRIPTION = """\
Plan capacity: simulate typists on one replica at virtual time, with the service's own code on a model of the engine;
report how many typists one replica carries, how many replicas a fleet needs, and how long its typists wait.

The engine's figures are those of a small model on two CPU cores: give your own, all of them. --decode-ms is the gap
between the tokens of an answer that runs alone. The waits for a short and a long prompt of which nothing is cached give
--prefill-tokens-per-second and --attention-ms; the gaps while many answers run, after short and after long prompts,
give --request-ms and --read-ms."""
EXAMPLES = """\
examples:
  forefill plan                                              the defaults: about a minute
  forefill plan --typists 500 --context-tokens 4000 --target-ms 500 --prefill-tokens-per-second 9000 --decode-ms 12 \\
      --attention-ms 0.002 --request-ms 0.05 --read-ms 0.05 --overhead-ms 1 --cache-tokens 400000 --block-size 16 \\
      --max-batched-tokens 2048
  forefill plan --json plan.json --plot plan
  forefill plan --typists 500 --values fleet.yaml               values for the chart, deploy/helm/forefill
"""
_DEFAULTS = PlanCommand()


def add_plan(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "plan",
        help="say how many replicas a number of typists needs, by simulation",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_use(parser)
    add_replica(parser)
    add = parser.add_argument
    add("--json", type=Path, metavar="FILE", dest="json_file", help="write estimate, simulations and fleets to FILE")
    add("--plot", type=Path, metavar="PREFIX", dest="plot_prefix", help="draw PREFIX.png and PREFIX.svg")
    text = "write the fleet as values for the Helm chart to FILE; needs one number of --typists"
    add("--values", type=Path, metavar="FILE", dest="values_file", help=text)
    parser.set_defaults(start=_start)


def _add_use(parser: argparse.ArgumentParser) -> None:
    ours, use = _DEFAULTS, _DEFAULTS.use
    _add(parser, "--typists", arguments.counts, "N,N", "sizes of the fleet, in typists", ours.typists)
    text = "longest time to the first token that 95 %% of SUBMITs may have"
    _add(parser, "--target-ms", arguments.positive, "MS", text, ours.target_ms)
    text = "words a minute, of five characters"
    _add(parser, "--wpm", arguments.positive, "N", text, use.words_per_minute, dest="words_per_minute")
    _add(parser, "--context-tokens", arguments.count, "N", "tokens before the draft", use.context_tokens)
    text = "tokens before the draft that are the same for all typists"
    _add(parser, "--shared-tokens", arguments.whole, "N", text, use.shared_tokens)
    text = "time from one Enter of a typist to the next"
    _add(parser, "--cycle-seconds", arguments.positive, "S", text, use.cycle_seconds)
    _add(parser, "--answer-tokens", arguments.count, "N", "tokens of an answer", use.answer_tokens)
    text = "background traffic: plain generations a second on each replica"
    _add(parser, "--background-rate", arguments.not_negative, "R", text, use.background_rate)
    text = "copies of forefill in front of the same replicas: each places its own sessions, by its own count"
    _add(parser, "--copies", arguments.count, "N", text, ours.copies)
    _add(parser, "--submits", arguments.count, "N", "SUBMITs that each simulation counts", ours.submits)
    _add(parser, "--seed", int, "N", "makes keys and arrivals repeatable", ours.seed)


def add_replica(parser: argparse.ArgumentParser) -> None:
    """Add the flags that describe a replica's engine."""
    ours = _DEFAULTS.replica
    text = "new prompt tokens that the engine computes a second, without attention"
    _add(parser, "--prefill-tokens-per-second", arguments.positive, "R", text, ours.prefill_tokens_per_second)
    _add(parser, "--decode-ms", arguments.positive, "MS", "a step of one answer that runs alone", ours.decode_ms)
    text = "each thousand pairs of a new token and one before it, in a step"
    _add(parser, "--attention-ms", arguments.not_negative, "MS", text, ours.attention_ms)
    _add(parser, "--request-ms", arguments.not_negative, "MS", "each request in a step", ours.request_ms)
    text = "each thousand tokens before a request's new ones, in a step"
    _add(parser, "--read-ms", arguments.not_negative, "MS", text, ours.read_ms)
    text = "time from when a request is sent until it waits in the engine"
    _add(parser, "--overhead-ms", arguments.not_negative, "MS", text, ours.overhead_ms)
    _add(parser, "--cache-tokens", arguments.count, "N", "tokens that the engine's cache holds", ours.cache_tokens)
    _add(parser, "--block-size", arguments.count, "N", "tokens of a cache block", ours.block_size)
    text = "most new tokens in one step"
    _add(parser, "--max-batched-tokens", arguments.count, "N", text, ours.max_batched_tokens)
    _add(parser, "--max-sequences", arguments.count, "N", "most requests in one step", ours.max_sequences)


def _add(
    parser: argparse.ArgumentParser,
    flag: str,
    kind: Any,
    metavar: str,
    text: str,
    default: Any,
    dest: str | None = None,
) -> None:
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else f"{default:g}"
    text = f"{text} (default: {shown})"
    parser.add_argument(flag, type=kind, default=default, metavar=metavar, help=text, dest=dest)


def replica_of(options: argparse.Namespace) -> ReplicaSpec:
    """Return the replica that the flags of `add_replica` describe."""
    return ReplicaSpec(**_given(ReplicaSpec, options))


def _given(kind: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that are fields of a dataclass, by name."""
    return {field.name: getattr(options, field.name) for field in fields(kind) if field.name in options}


def _start(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    check_extra()
    from .plan_command import run

    use = Use(**_given(Use, options))
    return run(PlanCommand(replica=replica_of(options), use=use, **_given(PlanCommand, options)))
