"""The flags of `forefill bench`."""

import argparse
import shlex
from collections.abc import Coroutine
from dataclasses import fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from forefill_client import access_flags, arguments
from forefill_client.access_flags import Access
from forefill_client.errors import InvalidRequest
from forefill_client.server_flags import ServerChoice

from .bench_options import DIRECT_KEY_VARIABLE, NOT_NAMED, BenchCommand
from .extra import check_extra
from .typing.arms import ARMS
from .typing.people import People
from .typing.people_log import PACKAGE
from .typing.schedule import Pace
from .typing.workloads import WORKLOADS

EXAMPLES = """\
examples:
  forefill bench                                            start what is needed, measure everything: two hours
  forefill bench --workloads context --arms cold,static,typed --queries 5
  forefill bench --workloads load --typists 12 --rounds 3 --json out.json --plot out
  forefill bench --workloads people --messages 150 --max-tokens 128 --json out.json
  forefill bench --target HOST:50051 --direct http://HOST:8000   use running servers
  forefill bench --target llm.example.com:443 --tls --api-key-file key.txt --arms static,typed,pregen
"""
SECRET_FLAGS: Final = {
    "--api-key": DIRECT_KEY_VARIABLE,
    "--cache-salt-secret": "FOREFILL_CACHE_SALT_SECRET",
    "--engine-api-key": "FOREFILL_ENGINE_API_KEY",
    "--engine-headers": "FOREFILL_ENGINE_HEADERS",
    "--hf-token": "HF_TOKEN",
}
"""Flags of servers that may hold a credential, and the variables that take it instead."""
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
    add = parser.add_argument
    add("--json", type=Path, metavar="FILE", dest="json_file", help="write every request and the summary to this file")
    add(
        "--plot",
        type=Path,
        metavar="PREFIX",
        dest="plot_prefix",
        help="draw PREFIX-ttft and PREFIX-neighbours, PNG and SVG",
    )
    parser.set_defaults(start=_start)


def _words(value: str) -> tuple[str, ...]:
    """Accept arguments of a server that others may read, here and in the results."""
    words = tuple(shlex.split(value))
    for word in words:
        flag = word.partition("=")[0].replace("_", "-")
        if variable := SECRET_FLAGS.get(flag):
            raise argparse.ArgumentTypeError(f"others can read a command line: set {variable} instead of {flag}")
    return words


def _url(value: str) -> str:
    """Accept the address of an HTTP server, without a password, which others could read."""
    if "@" in value:
        raise argparse.ArgumentTypeError(f"others can read a command line: {DIRECT_KEY_VARIABLE} takes the API key")
    if not value.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"give http://HOST:PORT or https://HOST:PORT, not {value!r}")
    return value


def _description() -> str:
    lines = ["Serve the same SUBMITs in several ways, interleaved in one run, and compare.", "", "arms:"]
    lines += [f"  {name:17} {arm.about}" for name, arm in ARMS.items()]
    lines += ["", "workloads:", *(f"  {name:17} {workload.about}" for name, workload in WORKLOADS.items())]
    return "\n".join(lines)


def _add_servers(parser: argparse.ArgumentParser) -> None:
    about = "TLS, the API key and metadata apply to --target and --remote alike."
    access_flags.add(parser, default_target=None, about=about)
    add = parser.add_argument_group("more servers").add_argument
    add(
        "--direct",
        type=_url,
        metavar="URL",
        help="a running vLLM for the arms `direct` and `remote` (default: start one if needed). The environment"
        f" variable {DIRECT_KEY_VARIABLE} holds its API key; for https the authorities of this system are trusted, or"
        " those in the file that SSL_CERT_FILE names",
    )
    add("--remote", metavar="HOST:PORT", help="a running forefill-server in front of that vLLM, for the arm `remote`")
    add("--direct-model", metavar="NAME", help="the model's name on that vLLM (default: the first that it serves)")
    words: dict[str, Any] = {"type": _words, "default": (), "metavar": "ARGS"}
    add("--server-args", **words, help="more arguments for a forefill-server that is started, in one string")
    add("--vllm-args", **words, help="more arguments for a vLLM that is started, in one string")


def _add_measures(parser: argparse.ArgumentParser) -> None:
    def add(flag: str, kind: Any, metavar: str, text: str, field: str) -> None:
        default = attrgetter(field)(_DEFAULTS)
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else f"{default:g}"
        help_text = f"{text} (default: {shown})"
        parser.add_argument(flag, type=kind, default=default, metavar=metavar, help=help_text, dest=field)

    names, count, positive = arguments.comma_separated, arguments.count, arguments.positive
    add("--workloads", names(WORKLOADS), "A,B", "the workloads to serve", "workloads")
    add("--arms", names(ARMS), "A,B", "the ways of serving them", "arms")
    add("--queries", count, "N", "queries of each arm, if one user types alone", "queries")
    add("--mean-delay-ms", positive, "MS", "time from key to key, if one user types alone", "mean_delay_ms")
    add("--typists", arguments.counts, "N,N", "load: how many type at the same time", "typists")
    add("--seconds", positive, "S", "load: how long a window is counted", "pace.seconds")
    add("--rounds", count, "N", "load: windows of each arm and number of typists", "rounds")
    add("--cycle-seconds", positive, "S", "load: time from one Enter of a typist to the next", "pace.cycle_seconds")
    add("--background-rate", arguments.not_negative, "R", "load: plain generations a second", "pace.background_rate")
    add("--load-mean-delay-ms", positive, "MS", "load: time from key to key, as people type", "pace.mean_delay_ms")
    add("--messages", count, "N", "people: messages of each arm, at least", "people.messages")
    add("--people-typists", count, "N", "people: how many type at the same time", "people.typists")
    parser.add_argument(
        "--people-log",
        type=Path,
        metavar="FILE",
        dest="people.log",
        help=f"people: the data file of {PACKAGE} (default: the installed one; without it, messages are made up)",
    )
    add("--pause-ms", arguments.not_negative, "MS", "pause before Enter in the arm `pregen`, but of people", "pause_ms")
    add("--max-tokens", count, "N", "most tokens of an answer", "max_tokens")
    add("--seed", int, "N", "makes keys, arrivals and order repeatable", "seed")


def _start(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    check_extra()
    from .bench_command import run

    given = vars(options)
    pace = Pace(**{field.name: given[f"pace.{field.name}"] for field in fields(Pace)})
    people = People(**{field.name: given[f"people.{field.name}"] for field in fields(People)})
    made: dict[str, Any] = {"pace": pace, "people": people} | _servers(options)
    own = {field.name: given[field.name] for field in fields(BenchCommand) if field.name not in made}
    return run(BenchCommand(**own, **made))


def _servers(options: argparse.Namespace) -> dict[str, Any]:
    """Return the servers of the command and what they are shown; a forefill that is started gets no credentials."""
    _check_started(options)
    access_flags.check_named(options, bool(options.target or options.remote), by="--target or --remote")
    given = access_flags.access_from(options)

    def access(target: str | None) -> Access:
        return replace(given, target=target) if target else NOT_NAMED

    return {
        "server": ServerChoice(access(options.target), options.server_args),
        "remote": access(options.remote),
        "direct_key": access_flags.key_in(DIRECT_KEY_VARIABLE),
    }


def _check_started(options: argparse.Namespace) -> None:
    """Raise InvalidRequest if arguments are given for a server that is not started."""
    for flag, named_by in (("--server-args", "--target"), ("--vllm-args", "--direct")):
        given, named = (vars(options)[name[2:].replace("-", "_")] for name in (flag, named_by))
        if given and named:
            raise InvalidRequest(f"{flag} is for a server that is started: leave it out, or {named_by}")
