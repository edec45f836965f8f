"""`forefill-server`: the service as a program."""

# ruff: noqa: T201 - it talks to people
import argparse
import asyncio
import inspect
import logging
import os
import re
import signal
import sys
from importlib.metadata import version
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_settings import CliApp, CliSettingsSource, SettingsError

from .engine import Engine, FakeEngine
from .engine.http import connect
from .engine.vllm import EmbeddedEngine
from .errors import ServiceError
from .settings import Flags, Settings

log = logging.getLogger(__name__)


_DESCRIPTION = """Warms vLLM's prefix cache while users type, and answers when they press Enter.

With no arguments it serves the packaged SmolLM2-135M on 127.0.0.1:50051.
Every flag is also an environment variable: --max-sessions is FOREFILL_MAX_SESSIONS.

examples:
  forefill-server
  forefill-server --model Qwen/Qwen3-8B
  forefill-server --model Qwen/Qwen3-8B --engine-args '{"tensor_parallel_size": 2}'
  forefill-server --engine remote --engine-url http://10.0.0.7:8000
  forefill-server --engine fake        no model: to try a client against
  forefill-server --version
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the examples' lines, and leaves out defaults that say nothing: their help names what happens instead."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return inspect.cleandoc(text)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = super()._get_help_string(action) or ""
        return re.sub(r" \(default(: None| factory: (dict|list))?:? ?\)$", "", text)


def main(args: list[str] | None = None) -> int:
    """Run the server.

    Returns 0 after a clean stop, 1 where it cannot serve, 2 for bad settings, 130 for Ctrl-C while the engine starts;
    SIGTERM then exits with 143.
    """
    arguments = sys.argv[1:] if args is None else args
    if "--version" in arguments:
        print(f"forefill-server {version('forefill')}")
        return 0
    try:
        settings = _settings(arguments)
    except (ValidationError, SettingsError) as error:
        print(f"forefill-server: {_first_complaint(error)}; see --help", file=sys.stderr)
        return 2
    os.environ.setdefault("GRPC_VERBOSITY", "INFO" if settings.server.log_level == "debug" else "NONE")
    from .server import serve

    level = settings.server.log_level.upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, _terminate)  # until `serve` takes over
    try:
        if settings.engine.kind == "remote":
            return asyncio.run(_serve_remote(settings))
        engine = start_engine(settings)
        return asyncio.run(serve([engine], settings))
    except ServiceError as error:
        print(f"forefill-server: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _settings(arguments: list[str]) -> Settings:
    parser = _Parser("forefill-server", description=_DESCRIPTION, formatter_class=_HelpFormatter, allow_abbrev=False)
    source = CliSettingsSource[Any](
        Flags,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_implicit_flags=True,
        root_parser=parser,
    )
    return Settings(**dict(CliApp.run(Flags, cli_args=arguments, cli_settings_source=source)))


async def _serve_remote(settings: Settings) -> int:
    from .server import serve

    return await serve(await connect(settings), settings)


def start_engine(settings: Settings) -> Engine:
    """Start the engine that the settings name.

    Raises EngineStartError with one line of cause.
    """
    if settings.engine.kind == "fake":
        context_tokens, block_size = settings.engine.context_tokens or 8192, settings.engine.block_size or 16
        return FakeEngine(context_tokens=context_tokens, block_size=block_size, keep_requests=False)
    # vLLM reads these when it is imported; standard output is for programs.
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "INFO" if settings.server.log_level == "debug" else "ERROR")
    log.info("starting vLLM with %s; on a CPU this takes about 40 s", settings.engine.model or "the packaged model")
    return EmbeddedEngine.start(settings)


def _terminate(number: int, _: Any) -> None:
    raise SystemExit(128 + number)


def _first_complaint(error: ValidationError | SettingsError) -> str:
    if isinstance(error, SettingsError):
        return str(error)
    first = error.errors()[0]
    return f"--{'.'.join(map(str, first['loc'])).replace('_', '-')}: {first['msg']}"
