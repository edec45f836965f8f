"""The flags of commands that hold a conversation: its system prompt, how answers are sampled, traces of its typing."""

import argparse
from pathlib import Path

from . import arguments
from .options import Sampling

_Flags = argparse._ActionsContainer


def add_system(flags: _Flags) -> None:
    """Add the system prompt to a command."""
    flags.add_argument(
        "--system",
        metavar="TEXT|@FILE",
        type=arguments.text_or_file,
        help="system prompt; @FILE reads it from a file (default: none)",
    )


def messages_from(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the messages that the conversation begins with."""
    return [] if options.system is None else [("system", options.system)]


def add_sampling(flags: _Flags, *, max_tokens: int) -> None:
    """Add to a command how answers are sampled; `max_tokens` is the default."""
    flags.add_argument(
        "--max-tokens",
        type=arguments.count,
        default=max_tokens,
        metavar="N",
        help="longest answer, in tokens (default: %(default)s)",
    )
    flags.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="sampling temperature, 0 to 2; 0 is greedy (default: the model's own)",
    )


def sampling_from(options: argparse.Namespace) -> Sampling:
    """Return how answers are sampled. Raises InvalidRequest."""
    return Sampling(max_tokens=options.max_tokens, temperature=options.temperature)


def add_traces(flags: _Flags, *, record: str, speed: str) -> None:
    """Add to a command a record of what is typed, and the speed of the typing; `record` and `speed` say of what."""
    flags.add_argument(
        "--record", metavar="FILE", type=Path, help=f"write what is typed to this file, key by key, {record}"
    )
    flags.add_argument(
        "--speed", type=arguments.positive, default=1.0, metavar="X", help=f"{speed} (default: %(default)g)"
    )
