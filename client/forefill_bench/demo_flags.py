"""The flags of `forefill demo`."""

import argparse
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from forefill_client import arguments, server_flags

from .extra import check_extra

MOST_QUERIES = 10
EXAMPLES = """\
Each question is asked four times over the same schema, on streams that share no cache: cold (nothing cached), static
(the schema cached, as plain prefix caching gives to a second user), warmed (forefill with pre-generation off) and
forefill (as it is by default). Enter comes at the same instant of the same typing. The order of the four goes round.

examples:
  forefill demo                              start a server of its own, with the packaged model
  forefill demo 127.0.0.1:50051              use a running one
  forefill demo llm.example.com:443 --tls --api-key-file key.txt
  forefill demo --queries 10 --json out.json
"""


def add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "demo",
        help="compare forefill with plain prefix caching on sample questions, typed as people type",
        description="Ask sample questions over a schema of about 1,200 tokens; show how long each answer kept waiting.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    server_flags.add(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file, as JSON")
    parser.add_argument(
        "--queries",
        type=arguments.up_to(MOST_QUERIES),
        metavar="N",
        help=f"1 to {MOST_QUERIES} questions (default: 5; 3 if the engine is slow)",
    )
    parser.add_argument(
        "--max-tokens",
        type=arguments.count,
        default=24,
        metavar="N",
        help="most tokens of an answer (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="decides who types and how (default: %(default)s)"
    )
    parser.set_defaults(start=_start)


def _start(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    check_extra()
    from .demo_command import DemoCommand, run

    return run(
        DemoCommand(
            server=server_flags.server_from(options),
            json_file=options.json,
            queries=options.queries,
            max_tokens=options.max_tokens,
            seed=options.seed,
        )
    )
