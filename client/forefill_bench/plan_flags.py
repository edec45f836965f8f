"""The flags of `forefill plan`."""

import argparse
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from forefill_client import arguments

from .capacity.scenario import Replica, Use
from .plan_command import PlanCommand, run

DESCRIPTION = """\
Plan capacity: simulate typists on one replica at virtual time, with the service's own code on a model of the engine;
say how many one replica carries, how many replicas a fleet needs, and how long its typists wait.

The engine's figures are those of a small model on two CPU cores: give your own, all of them. --decode-ms is the gap
between the tokens of an answer that runs alone. The waits for a short and a long prompt that nothing is cached of give
--prefill-tokens-per-second and --attention-ms; the gaps while many answers run, behind short and behind long prompts,
give --request-ms and --read-ms."""
EXAMPLES = """\
examples:
  forefill plan                                              the defaults: about a minute
  forefill plan --typists 500 --context-tokens 4000 --target-ms 500 --prefill-tokens-per-second 9000 --decode-ms 12 \\
      --attention-ms 0.002 --request-ms 0.05 --read-ms 0.05 --overhead-ms 1 --cache-tokens 400000 --block-size 16 \\
      --max-batched-tokens 2048
  forefill plan --json plan.json --plot plan
"""
_DEFAULTS = PlanCommand()


def add_plan(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "plan",
        help="say how many replicas so many typists need, by simulation",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_use(parser)
    add_replica(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write paper, simulations and fleets there")
    parser.add_argument("--plot", type=Path, metavar="PREFIX", help="draw PREFIX.png and PREFIX.svg")
    parser.set_defaults(start=_start)


def _add_use(parser: argparse.ArgumentParser) -> None:
    ours = _DEFAULTS
    _add(parser, "--typists", arguments.counts, "N,N", "sizes of the fleet", ours.typists)
    _add(parser, "--target-ms", arguments.positive, "MS", "what 95 %% may wait for the first token", ours.target_ms)
    _add(parser, "--wpm", arguments.positive, "N", "words a minute, of five characters", ours.use.words_per_minute)
    _add(parser, "--context-tokens", arguments.count, "N", "tokens before the draft", ours.use.context_tokens)
    _add(parser, "--shared-tokens", arguments.whole, "N", "of them, the same for all", ours.use.shared_tokens)
    _add(parser, "--cycle-seconds", arguments.positive, "S", "from one Enter to the next", ours.use.cycle_seconds)
    _add(parser, "--answer-tokens", arguments.count, "N", "tokens of an answer", ours.use.answer_tokens)
    text = "plain generations that are not ours, a second on each replica"
    _add(parser, "--background-rate", arguments.not_negative, "R", text, ours.use.background_rate)
    _add(parser, "--submits", arguments.count, "N", "SUBMITs that each simulation counts", ours.submits)
    _add(parser, "--seed", int, "N", "makes keys and arrivals repeatable", ours.seed)


def add_replica(parser: argparse.ArgumentParser) -> None:
    """Add the flags that describe a replica's engine."""
    ours = _DEFAULTS.replica
    text = "new prompt tokens a second, attention left out"
    _add(parser, "--prefill-tokens-per-second", arguments.positive, "R", text, ours.prefill_tokens_per_second)
    _add(parser, "--decode-ms", arguments.positive, "MS", "one step of one answer", ours.decode_ms)
    text = "each thousand pairs of a new token and one before it"
    _add(parser, "--attention-ms", arguments.not_negative, "MS", text, ours.attention_ms)
    _add(parser, "--request-ms", arguments.not_negative, "MS", "each request in a step", ours.request_ms)
    text = "each thousand tokens before a request's new ones, in each step"
    _add(parser, "--read-ms", arguments.not_negative, "MS", text, ours.read_ms)
    text = "what a request costs before it waits in the engine"
    _add(parser, "--overhead-ms", arguments.not_negative, "MS", text, ours.overhead_ms)
    _add(parser, "--cache-tokens", arguments.count, "N", "tokens that the engine's cache holds", ours.cache_tokens)
    _add(parser, "--block-size", arguments.count, "N", "tokens of a cache block", ours.block_size)
    text = "most new tokens of one step"
    _add(parser, "--max-batched-tokens", arguments.count, "N", text, ours.max_batched_tokens)
    _add(parser, "--max-sequences", arguments.count, "N", "most requests in one step", ours.max_sequences)


def _add(parser: argparse.ArgumentParser, flag: str, kind: Any, metavar: str, text: str, default: Any) -> None:
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else f"{default:g}"
    parser.add_argument(flag, type=kind, default=default, metavar=metavar, help=f"{text} (default: {shown})")


def replica_of(options: argparse.Namespace) -> Replica:
    """Return the replica that those flags describe."""
    return Replica(
        prefill_tokens_per_second=options.prefill_tokens_per_second,
        decode_ms=options.decode_ms,
        attention_ms=options.attention_ms,
        request_ms=options.request_ms,
        read_ms=options.read_ms,
        overhead_ms=options.overhead_ms,
        cache_tokens=options.cache_tokens,
        block_size=options.block_size,
        max_batched_tokens=options.max_batched_tokens,
        max_sequences=options.max_sequences,
    )


def _start(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    return run(
        PlanCommand(
            typists=options.typists,
            replica=replica_of(options),
            use=Use(
                context_tokens=options.context_tokens,
                shared_tokens=options.shared_tokens,
                words_per_minute=options.wpm,
                cycle_seconds=options.cycle_seconds,
                answer_tokens=options.answer_tokens,
                background_rate=options.background_rate,
            ),
            target_ms=options.target_ms,
            submits=options.submits,
            seed=options.seed,
            json_file=options.json,
            plot_prefix=options.plot,
        )
    )
