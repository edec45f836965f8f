"""The flags of `forefill chat`."""

import argparse
from collections.abc import Coroutine
from typing import Any, Final

from forefill_client import arguments, conversation_flags, server_flags

from .extra import check_extra

THEMES: Final = ("auto", "dark", "light", "terminal")
EXAMPLES: Final = """\
Without TARGET, --target or another flag of the server's address, a server is started for the time of the chat.
F1 shows the keys. Enter sends; Ctrl+J and Alt+Enter begin a new line. Shift+Enter is the same as Enter in most
terminals, which send the same for both.

examples:
  forefill chat                                        start a server with the packaged model, and chat
  forefill chat --engine fake                          the same without a model, to look at the chat itself
  forefill chat 127.0.0.1:50051 --system @schema.txt   chat with a running server
  forefill chat llm.example.com:443 --tls --api-key-file key.txt
  forefill chat --record chat.jsonl                    write what is typed, key by key, with its times
  forefill chat --replay chat.jsonl --speed 2          have it typed again, twice as fast

--record writes one trace file a turn: chat.jsonl, then chat.2.jsonl, chat.3.jsonl. A file is JSONL: {"format":
"forefill-trace", "version": 1}, then an object for each stroke, such as {"at_ms": 142.6, "kind": "type", "text": "S"},
and {"at_ms": 2980.4, "kind": "submit"} at the end. forefill type --replay reads it, too. --replay may be given several
times: each file is typed when the answer to the one before has ended. A key of yours stops it.
"""


def add_chat(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "chat",
        help="chat in the terminal, and see what is read while you type",
        description="Chat in the terminal, and see what forefill does while you type.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    server_flags.add(parser)
    parser.set_defaults(start=_start)
    conversation = parser.add_argument_group("the conversation")
    conversation_flags.add_system(conversation)
    conversation_flags.add_sampling(conversation, max_tokens=512)
    _add_traces(parser.add_argument_group("traces"))
    parser.add_argument(
        "--theme",
        choices=THEMES,
        default="auto",
        help="colours of the chat; terminal: the terminal's own sixteen. auto: that if the terminal has few colours or"
        " NO_COLOR is set, else light or dark as COLORFGBG says (default: %(default)s)",
    )


def _add_traces(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--replay",
        metavar="FILE",
        type=arguments.trace,
        action="append",
        default=[],
        help="type what a trace file holds, at its times; may be repeated, for one turn after the other",
    )
    conversation_flags.add_traces(
        group, record="with its times; old files are replaced", speed="replay X times as fast as recorded"
    )


def _start(options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    check_extra()
    from .chat_command import ChatCommand, run

    return run(
        ChatCommand(
            server=server_flags.server_from(options),
            system=options.system,
            sampling=conversation_flags.sampling_from(options),
            record=options.record,
            replay=tuple(options.replay),
            speed=options.speed,
            theme=options.theme,
        )
    )
