"""`forefill web`: serve the page beside a forefill server, or beside one that is started for it."""

import argparse
from dataclasses import dataclass

from forefill_client import Resume, conversation_flags, server_flags
from forefill_client.access_flags import Access
from forefill_client.errors import InvalidRequest
from forefill_client.server_flags import ServerChoice
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

    server: ServerChoice
    listening: Listening
    key: AccessKey | None
    host_names: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    sockets_per_address: int
    options: SessionOptions


def command_from(options: argparse.Namespace) -> WebCommand:
    """Return what the flags ask for. Raises InvalidRequest and OSError, which say what is wrong."""
    server = server_flags.server_from(options)
    try:
        key = None if options.access_key_file is None else AccessKey.from_file(options.access_key_file)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    return WebCommand(
        server=server,
        listening=listening_from(options, has_key=key is not None),
        key=key,
        host_names=(*([] if is_everywhere(options.host) else [options.host]), *options.host_name),
        allowed_origins=tuple(options.allow_origin),
        sockets_per_address=options.sockets_per_address,
        options=SessionOptions(
            before=conversation_flags.messages_from(options), sampling=conversation_flags.sampling_from(options)
        ),
    )


async def run(command: WebCommand) -> int:
    """Serve until the command is cancelled, and return the exit status."""
    with Terminal() as terminal:
        async with command.server.running(terminal) as access:
            with access.explaining():
                await _run(command, access, terminal)
    return 0


async def _run(command: WebCommand, access: Access, terminal: Terminal) -> None:
    limits = BridgeLimits(sockets_per_address=command.sockets_per_address)
    async with access.connect(Resume()) as client:
        try:
            bridge = Bridge(client, command.options, limits=limits, allowed_origins=command.allowed_origins)
        except ValueError as error:
            raise InvalidRequest(f"--allow-origin: {error}") from None
        app = application(bridge, host_names=command.host_names, key=command.key)

        def listens(url: str) -> None:
            terminal.clear()
            write_result(f"{LISTENING}{url}\n")

        await serve(app, command.listening, bridge, listens)
