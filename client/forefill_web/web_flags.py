"""The flags of `forefill web`."""

import argparse
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from forefill_client import arguments, conversation_flags, server_flags

from .extra import check_extra

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8080
EXAMPLES: Final = """\
Without TARGET, a forefill server is started, and stopped at the end; with the packaged model that takes about 40 s.

examples:
  forefill web                                   start a server with the packaged model
  forefill web --engine fake                     try the page without a model: answers are made-up words
  forefill web 127.0.0.1:50051 --system @sql.txt beside a running server
  forefill web --host 0.0.0.0 --host-name chat.example.com --listen-cert chat.pem --listen-key chat.key \\
      --access-key-file key.txt                  for others: https://chat.example.com:8080/enter?key=KEY lets them in
"""


def add_web(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "web",
        help="serve a chat for browsers that shows what forefill does while you type",
        description="Serve a page in which you chat with a model, and see what is read and begun before Enter.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    server_flags.add(parser)
    _add_listening(parser.add_argument_group("the page's address"))
    conversation = parser.add_argument_group("the conversation")
    conversation_flags.add_system(conversation)
    conversation_flags.add_sampling(conversation, max_tokens=512)
    parser.set_defaults(start=_start)


def _add_listening(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--host",
        default=DEFAULT_HOST,
        metavar="ADDRESS",
        help="address to listen on (default: %(default)s). Beyond loopback, --listen-cert, --listen-key and"
        " --access-key-file are needed, or --insecure",
    )
    group.add_argument(
        "--port",
        type=arguments.port,
        default=DEFAULT_PORT,
        metavar="N",
        help="port to listen on; 0 takes a free one (default: %(default)s)",
    )
    group.add_argument(
        "--host-name",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which browsers reach this host, beside localhost and --host; requests by any other name are"
        " refused, since they may come from a page that tricks a browser. May be repeated",
    )
    group.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="another site whose pages may open the socket, for example https://www.example.com, or the public origin"
        " of this one behind a proxy. May be repeated",
    )
    group.add_argument("--listen-cert", type=Path, metavar="FILE", help="serve https with this certificate (PEM)")
    group.add_argument("--listen-key", type=Path, metavar="FILE", help="private key (PEM) of --listen-cert")
    group.add_argument(
        "--access-key-file",
        type=Path,
        metavar="FILE",
        help="ask browsers for the key in this file, 16 characters or more, at /enter (default: ask for none)",
    )
    group.add_argument(
        "--insecure",
        action="store_true",
        help="listen beyond loopback without TLS or an access key: anyone who can reach the port can use the server,"
        " and anyone on the network path can read what is typed",
    )
    group.add_argument(
        "--sockets-per-address",
        type=arguments.count,
        default=50,
        metavar="N",
        help="most open pages of one client address; behind a proxy, all have the same (default: %(default)s)",
    )


def _start(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    check_extra()
    from .web_command import command_from, run

    return run(command_from(options))
