"""`forefill web`: serve the page beside a forefill server, or beside one that is started for it."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from forefill_client import NotAuthenticated, Resume, Sampling, access_flags
from forefill_client.access_flags import Access
from forefill_client.errors import InvalidRequest
from forefill_client.local_server import COMMAND, local_server
from forefill_client.terminal import Terminal, write_result

from .access_key import AccessKey
from .app import application
from .bridge import Bridge
from .limits import BridgeLimits
from .listening import Listening, is_everywhere, listening_from, serve
from .options import SessionOptions

LISTENING = "forefill web listening on "
"""The beginning of the line that says where the page is, on standard output."""


@dataclass(frozen=True, slots=True)
class WebCommand:
    """What `forefill web` does."""

    access: Access
    """The server; without a target one is started."""
    server_flags: tuple[str, ...]
    """Flags of the server that is started."""
    listening: Listening
    key: AccessKey | None
    host_names: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    sockets_per_address: int
    options: SessionOptions


def command_from(options: argparse.Namespace) -> WebCommand:
    """Return what the flags ask for. Raises InvalidRequest and OSError, which say what is wrong."""
    if options.server and options.target:
        raise InvalidRequest("give either TARGET or --target")
    options.target = options.server or options.target or ""
    server_flags = tuple(f"--{name}={value}" for name in ("engine", "model") if (value := getattr(options, name)))
    if options.target and server_flags:
        raise InvalidRequest("--engine and --model are for a server that is started: leave them out, or TARGET")
    try:
        key = None if options.access_key_file is None else AccessKey.from_file(options.access_key_file)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    return WebCommand(
        access=access_flags.access_from(options),
        server_flags=server_flags,
        listening=listening_from(options, has_key=key is not None),
        key=key,
        host_names=(*([] if is_everywhere(options.host) else [options.host]), *options.host_name),
        allowed_origins=tuple(options.allow_origin),
        sockets_per_address=options.sockets_per_address,
        options=SessionOptions(
            before=[("system", options.system)] if options.system is not None else [],
            sampling=Sampling(max_tokens=options.max_tokens, temperature=options.temperature),
        ),
    )


async def run(command: WebCommand) -> int:
    """Serve until the command is cancelled, and return the exit status."""
    with Terminal() as terminal:
        try:
            await _run(command, terminal)
        except NotAuthenticated as error:
            raise command.access.refused(error) from None
    return 0


async def _run(command: WebCommand, terminal: Terminal) -> None:
    limits = BridgeLimits(sockets_per_address=command.sockets_per_address)
    async with _server(command, terminal) as access, access.connect(Resume()) as client:
        try:
            bridge = Bridge(client, command.options, limits=limits, allowed_origins=command.allowed_origins)
        except ValueError as error:
            raise InvalidRequest(f"--allow-origin: {error}") from None
        app = application(bridge, host_names=command.host_names, key=command.key)

        def listens(url: str) -> None:
            terminal.clear()
            write_result(f"{LISTENING}{url}\n")

        await serve(app, command.listening, bridge, listens)


@asynccontextmanager
async def _server(command: WebCommand, terminal: Terminal) -> AsyncIterator[Access]:
    """Yield the server that was named, or one that is started for as long as it is needed."""
    if command.access.target:
        yield command.access
        return
    if not terminal.live:
        terminal.say("starting forefill-server; with a model on a CPU that takes about 40 s")

    def waiting(seconds: float) -> None:
        terminal.draw(f"starting forefill-server: {seconds:.0f} s; with a model on a CPU that takes about 40 s")

    async with local_server(waiting, command=(*COMMAND, *command.server_flags)) as target:
        yield replace(command.access, target=target)
        terminal.draw("stopping forefill-server")
