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

from . import type_flags
from .connection import VERSION
from .errors import ForefillError

COMMANDS = "forefill.commands"

DESCRIPTION = "Talk to a forefill server, which reads the prompt while it is typed, so that the answer starts at Enter."
EXAMPLES = """\
examples:
  forefill demo                                  start a server, ask it sample questions, compare
  forefill type "Show me all patients"           type at the server on this machine
  forefill type "And by ward?" --system @FILE    with a system prompt from a file
  forefill bench --workloads context --queries 5 measure all ways of serving
  forefill plan --typists 500                    how many replicas they need, by simulation
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
    type_flags.add(commands)
    for command in sorted(entry_points(group=COMMANDS), key=lambda entry: entry.name):
        command.load()(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
