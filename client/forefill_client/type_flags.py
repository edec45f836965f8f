"""The flags of `forefill type`."""

import argparse
from collections.abc import Coroutine
from typing import Any, Final

from . import access_flags, arguments, conversation_flags
from .keystrokes import Trace
from .keystrokes.typing_model import delay_ms_at
from .type_command import TypeCommand, run
from .typist import TYPISTS, Typing

EXAMPLES: Final = """\
The answer goes to standard output and everything else to standard error. The exit status is 0 after an answer, 1 if
there is none or it is empty, and 2 if the command cannot be read.

examples:
  forefill type "Show me all patients" --system "You write SQL."
  forefill type "What is this about?" --system @README.md --wpm 40 --typo-rate 0.05 --seed 1
  forefill type "Show me all patients" --json | python -m json.tool
  forefill type "Show me all patients" --target llm.example.com:443 --tls --api-key-file key.txt
  forefill type "Show me all patients" --record patients.jsonl
  forefill type --replay patients.jsonl --speed 2

A trace file is JSONL: {"format": "forefill-trace", "version": 1}, then an object for each stroke, such as
{"at_ms": 142.6, "kind": "type", "text": "S"}, and {"at_ms": 2980.4, "kind": "submit"} at the end. The docstring of
forefill_client.keystrokes.trace defines it.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "type",
        help="type a text at a server and print the answer",
        description="Type a text at a server as a person would, show what is cached meanwhile, and print the answer.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("text", metavar="TEXT", nargs="?", type=arguments.text, help="the text to type and submit")
    what.add_argument(
        "--replay",
        metavar="FILE",
        type=arguments.trace,
        help="type what a trace file holds, at its times, instead of TEXT; no flag of the typist matters then",
    )
    conversation_flags.add_system(parser)
    access_flags.add(parser)
    _add_typist(parser.add_argument_group("the typist"))
    conversation_flags.add_traces(
        parser.add_argument_group("traces"),
        record="with its planned times; an old file is replaced",
        speed="type X times as fast as the typist, or as the trace of --replay",
    )
    answer = parser.add_argument_group("the answer")
    conversation_flags.add_sampling(answer, max_tokens=128)
    answer.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object with the answer, its report and every flush result, and nothing else",
    )
    parser.set_defaults(start=_start)


def _add_typist(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--typist",
        choices=TYPISTS,
        default="human",
        help="human: a person with pauses, bursts, keys that overlap and typos noticed late, drawn by the seed from"
        " people who copy a text. gaussian: normally distributed gaps, typos noticed at once (default: %(default)s)",
    )
    pace = group.add_mutually_exclusive_group()
    pace.add_argument(
        "--wpm",
        type=arguments.positive,
        metavar="N",
        help="typing speed in words a minute, five characters to a word; instead of --mean-delay-ms",
    )
    pace.add_argument(
        "--mean-delay-ms",
        type=arguments.positive,
        metavar="MS",
        help="mean time from one key to the next, in milliseconds, which a human keeps roughly"
        " (default: the person's own, about 250 on average over people; 150 for gaussian)",
    )
    group.add_argument(
        "--typo-rate",
        type=arguments.share,
        metavar="P",
        help="probability that a character is mistyped and then corrected, 0 to 1"
        " (default: the person's own, 0.06 on average over people; 0.02 for gaussian)",
    )
    group.add_argument(
        "--seed", type=int, metavar="N", help="seed of the simulated typing; makes it repeatable (default: random)"
    )


def _start(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    return run(
        TypeCommand(
            trace=_trace(options),
            speed=options.speed,
            record=options.record,
            access=access_flags.access_from(options),
            system=options.system,
            sampling=conversation_flags.sampling_from(options),
            as_json=options.json,
        )
    )


def _trace(options: argparse.Namespace) -> Trace:
    if options.replay is not None:
        replayed: Trace = options.replay
        return replayed
    mean_ms = delay_ms_at(options.wpm) if options.wpm else options.mean_delay_ms
    return TYPISTS[options.typist](
        options.text, Typing(mean_ms=mean_ms, typo_rate=options.typo_rate, seed=options.seed)
    )
