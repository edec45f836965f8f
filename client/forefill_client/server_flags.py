"""The flags of commands that talk to a server that is named, or start one for as long as they run."""

import argparse
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from . import access_flags
from .access_flags import Access
from .errors import InvalidRequest
from .local_server import COMMAND, local_server
from .terminal import Terminal


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """A server that is named, or the flags of one to start."""

    access: Access
    """The server that is named; its target is "" if one is started."""
    flags: tuple[str, ...] = ()
    """Flags of the server that is started."""

    @asynccontextmanager
    async def running(self, terminal: Terminal) -> AsyncGenerator[Access, None]:
        """Yield the server that is named, or one that runs for the time of the block. Raises ServerNotStarted."""
        if self.access.target:
            yield self.access
            return
        about = "without a model" if "--engine=fake" in self.flags else "with a model on a CPU that takes about 40 s"
        if not terminal.live:
            terminal.say(f"starting forefill-server; {about}")

        def waiting(seconds: float) -> None:
            terminal.draw(f"starting forefill-server: {seconds:.0f} s; {about}")

        async with local_server(waiting, command=(*COMMAND, *self.flags)) as target:
            yield replace(self.access, target=target)
            terminal.draw("stopping forefill-server")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags to a command."""
    parser.add_argument(
        "server", nargs="?", metavar="TARGET", help="address of a running server, as --target (default: start one)"
    )
    access_flags.add(parser, default_target=None)
    group = parser.add_argument_group("a server that is started")
    group.add_argument(
        "--engine",
        metavar="NAME",
        help="its engine, as for forefill-server, for example fake: made-up answers, without a model",
    )
    group.add_argument("--model", metavar="NAME", help="its model, as for forefill-server (default: the packaged one)")


def server_from(options: argparse.Namespace) -> ServerChoice:
    """Return the server that the flags name, or the one to start; raises InvalidRequest if they do not fit together."""
    if options.server and options.target:
        raise InvalidRequest("give the server's address once: as TARGET or as --target")
    options.target = options.server or options.target or ""
    flags = tuple(f"--{name}={value}" for name in ("engine", "model") if (value := getattr(options, name)))
    if options.target and flags:
        raise InvalidRequest("--engine and --model are for a server that is started: leave them out, or TARGET")
    access_flags.check_named(options, bool(options.target), by="TARGET")
    return ServerChoice(access_flags.access_from(options), flags)
