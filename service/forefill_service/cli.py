"""`forefill-server`: the service as a program."""

# ruff: noqa: T201 - it talks to people
import argparse
import asyncio
import inspect
import logging
import os
import re
import resource
import signal
import sys
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_settings import CliApp, CliSettingsSource, SettingsError

from .access.callers_file import new_api_key
from .engine import Engine, FakeEngine
from .engine.http import connect
from .engine.vllm import EmbeddedEngine
from .errors import ServiceError
from .fleet.trace_export import check_traces
from .logs import configure, report_failures
from .settings import GROUPS, Flags, Settings

log = logging.getLogger(__name__)

_DESCRIPTION = """\
Warms vLLM's prefix cache while users type, and answers when they press Enter.

With no arguments it serves the packaged SmolLM2-135M on 127.0.0.1:50051.
Every flag is also an environment variable: --port is FOREFILL_PORT. A list is
JSON there: FOREFILL_ENGINE_URL='["http://10.0.0.7:8000"]'.

examples:
  forefill-server
  forefill-server --model Qwen/Qwen3-8B
  forefill-server --model Qwen/Qwen3-8B \\
      --engine-args '{"tensor_parallel_size": 2}'
  forefill-server --engine remote --engine-url http://10.0.0.7:8000
  forefill-server --engine fake        no model: to try a client against
"""

_METAVARS = {"int": "N", "Path": "FILE", "dict[str,str]": "JSON", "dict[str,Any]": "JSON"}
"""By the type of a value; for other types the last word of the flag says what the value is."""


def main(args: list[str] | None = None) -> int:
    """Run the server.

    Returns 0 after a clean stop, 1 if it cannot serve, 2 for bad settings, 130 for Ctrl-C while the engine starts;
    SIGTERM then exits with 143.
    """
    try:
        settings = parsed(sys.argv[1:] if args is None else args)
    except (ValidationError, SettingsError) as error:
        print(f"forefill-server: {_first_complaint(error)}; see --help", file=sys.stderr)
        return 2
    observability = settings.observability
    readable = observability.log_level == "debug" and observability.log_format == "human"
    os.environ.setdefault("GRPC_VERBOSITY", "INFO" if readable else "NONE")  # its lines have a form of their own
    from .server import serve

    configure(observability.log_format, observability.log_level)
    report_failures()
    signal.signal(signal.SIGTERM, _terminate)  # until `serve` takes over
    try:
        _check_access(settings)
        _allow_connections()
        check_traces(observability.otlp_endpoint)
        if settings.engine.kind == "remote":
            return asyncio.run(_serve_remote(settings))
        engines = start_engines(settings)
        return asyncio.run(serve(engines, settings))
    except ServiceError as error:
        print(f"forefill-server: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _check_access(settings: Settings) -> None:
    """Read what says who gets in, before an engine takes its time to start.

    Raises SettingsFileError, EngineStartError.
    """
    from .access.certificate import ServerCertificate
    from .access.gate import Gate
    from .listeners.openai_api import check_vllm_key

    check_vllm_key(settings, Gate.of(settings.access))
    if (certificate := ServerCertificate.of(settings.access)) is not None:
        certificate.check()
    if settings.access.insecure:
        log.warning(
            "--insecure: %s; whoever reaches %s is served",
            "no TLS" if certificate is None else "TLS, but no credentials are asked for",
            settings.server.host,
        )


def _allow_connections() -> None:
    """Raise the limit on open files as far as the system lets us: each connection is one, and defaults are low."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def parsed(arguments: list[str]) -> Settings:
    """Return the settings of a command line and the environment.

    Raises ValidationError or SettingsError if they are bad. Exits after --help and --version.
    """
    parser = _Parser(
        "forefill-server",
        usage="forefill-server [options]",
        description=_DESCRIPTION,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"forefill-server {version('forefill')}")
    parser.add_argument(
        "--new-api-key", metavar="NAME", action=_NewApiKey, help="print an API key for a caller, and its entry; exit"
    )
    source = CliSettingsSource[Any](
        Flags,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_implicit_flags=True,
        root_parser=parser,
        add_argument_method=_Parser.add_flag,
    )
    return Settings(**dict(CliApp.run(Flags, cli_args=arguments, cli_settings_source=source)))


async def _serve_remote(settings: Settings) -> int:
    from .server import serve

    return await serve(await connect(settings), settings)


def start_engines(settings: Settings) -> Sequence[Engine]:
    """Start the engine that the settings name; return each rank of it if it is data-parallel.

    Raises EngineStartError with one line of cause.
    """
    if settings.engine.kind == "fake":
        return [FakeEngine.of(settings)]
    # vLLM reads these when it is imported; standard output is for programs.
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "INFO" if settings.observability.log_level == "debug" else "ERROR")
    log.info("starting vLLM with %s; on a CPU this takes about 40 s", settings.engine.model or "the packaged model")
    return EmbeddedEngine.start(settings).engines()


def _terminate(number: int, _: Any) -> None:
    raise SystemExit(128 + number)


class _Parser(argparse.ArgumentParser):
    """Shows the flags by subject, and raises SettingsError for a bad command line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._subjects: dict[str, Any] = {}
        for name, group in GROUPS.items():
            subject = self.add_argument_group(Settings.model_fields[name].title, inspect.getdoc(group))
            self._subjects.update(dict.fromkeys(group.by_flag(), subject))

    def add_flag(self, *names: str, **kwargs: Any) -> None:
        if "metavar" in kwargs and not kwargs["metavar"].startswith("{"):
            kwargs["metavar"] = _METAVARS.get(kwargs["metavar"], kwargs["dest"].rpartition("_")[2].upper())
        self._subjects[kwargs["dest"]].add_argument(*names, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


class _NewApiKey(argparse.Action):
    """Prints a new key as --version prints the version."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, value: Any, option: str | None = None) -> NoReturn:
        print(new_api_key(str(value)))
        parser.exit()


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Leaves out empty defaults, whose flags say what happens instead; breaks no name and no default over two lines."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = super()._get_help_string(action) or ""
        return re.sub(r" \(default: (None|\[\]|\{\})?\)$", "", text)

    def _split_lines(self, text: str, width: int) -> list[str]:
        whole = re.sub(r"\(default: (\S+)\)$", "(default:\N{NO-BREAK SPACE}\\1)", text)
        lines = textwrap.wrap(whole, width, break_on_hyphens=False)
        return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _first_complaint(error: ValidationError | SettingsError) -> str:
    if isinstance(error, SettingsError):
        undecodable = re.search(r"(?:encountered for|value for field) \"?(\w+)", str(error))
        return f"{_flag(undecodable[1])}: not valid JSON" if undecodable else str(error)
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    return ": ".join([*(_flag(str(name)) for name in first["loc"][:1]), message])


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
