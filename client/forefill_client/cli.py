"""`forefill`: the client as a program.

`forefill type` is here; every other command is found by the entry-point group `forefill.commands`: a function that adds
its command to the program, and sets `start`, a function from the options to the coroutine to run.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from importlib.metadata import entry_points
from typing import Any

from . import arguments, type_command
from .connection import VERSION
from .errors import ForefillError
from .keystrokes.typing_model import delay_ms_at
from .options import Sampling

DEFAULT_TARGET = "127.0.0.1:50051"
COMMANDS = "forefill.commands"

DESCRIPTION = "Talk to a forefill server, which reads the prompt while it is typed, so that the answer starts at Enter."
EXAMPLES = """\
examples:
  forefill demo                                  start a server, ask it sample questions, compare
  forefill type "Show me all patients"           type at the server on this machine
  forefill type "And by ward?" --system @db.sql  with a system prompt from a file
  forefill bench --workloads context --queries 5 measure all ways of serving
  forefill plan --typists 500                    how many replicas they need, by simulation
"""
TYPE_EXAMPLES = """\
The answer goes to standard output and everything else to standard error.

examples:
  forefill type "Show me all patients" --system "You write SQL."
  forefill type "Show me all patients" --system @schema.sql --wpm 40 --typo-rate 0.05 --seed 1
  forefill type "Show me all patients" --json | python -m json.tool
"""


def main(argv: list[str] | None = None) -> int:
    """Run the program; return 0, 1 after an error, 130 after Ctrl-C, 143 after SIGTERM. Wrong arguments exit with 2."""
    options = _parser().parse_args(argv)
    try:
        return asyncio.run(_stoppable(options.start(options)))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ForefillError, OSError) as error:
        sys.stderr.write("\n".join([f"forefill: {error}", *getattr(error, "__notes__", []), ""]))
        return 1


async def _stoppable(work: Coroutine[Any, Any, int]) -> int:
    """Let signals end the work, so that a server of our own is stopped too; a second Ctrl-C ends it at once."""
    task = asyncio.ensure_future(work)
    stopped_by: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if stopped_by:
            raise KeyboardInterrupt
        stopped_by.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        return await task
    except (asyncio.CancelledError, ForefillError):  # a cancelled call may raise its own error instead
        if stopped_by:
            return 130 if stopped_by[0] is signal.SIGINT else 143
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forefill", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"forefill {VERSION}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_type(commands)
    for command in sorted(entry_points(group=COMMANDS), key=lambda entry: entry.name):
        command.load()(commands)
    return parser


def _add_type(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "type",
        help="type a text at a server and print the answer",
        description="Type a text at a server as a person would, show what is cached meanwhile, and print the answer.",
        epilog=TYPE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", metavar="TEXT", type=arguments.text, help="the text to type and submit")
    parser.add_argument(
        "--target", default=DEFAULT_TARGET, metavar="HOST:PORT", help="address of the server (default: %(default)s)"
    )
    parser.add_argument(
        "--system",
        metavar="TEXT|@FILE",
        type=arguments.text_or_file,
        help="system prompt; @FILE reads it from a file (default: none)",
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--wpm",
        type=arguments.positive,
        metavar="N",
        help="typing speed in words a minute, five characters to a word; instead of --mean-delay-ms",
    )
    pace.add_argument(
        "--mean-delay-ms",
        type=arguments.positive,
        default=150.0,
        metavar="MS",
        help="mean time from one key to the next, in milliseconds (default: %(default)g)",
    )
    parser.add_argument(
        "--typo-rate",
        type=arguments.share,
        default=0.02,
        metavar="P",
        help="probability that a letter is mistyped and then corrected, 0 to 1 (default: %(default)g)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="seed of the simulated typing; makes it repeatable (default: random)"
    )
    parser.add_argument(
        "--max-tokens",
        type=arguments.count,
        default=128,
        metavar="N",
        help="longest answer, in tokens (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="sampling temperature, 0 to 2; 0 is greedy (default: the model's own)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object with the answer, its report and every flush result, and nothing else",
    )
    parser.set_defaults(start=_type)


def _type(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    delay_ms = delay_ms_at(options.wpm) if options.wpm else options.mean_delay_ms
    return type_command.run(
        type_command.TypeCommand(
            text=options.text,
            target=options.target,
            system=options.system,
            sampling=Sampling(max_tokens=options.max_tokens, temperature=options.temperature),
            mean_delay_ms=delay_ms,
            typo_rate=options.typo_rate,
            seed=options.seed,
            as_json=options.json,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
