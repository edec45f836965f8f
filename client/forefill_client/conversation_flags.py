"""The flags of commands that hold a conversation: its system prompt, and how its answers are sampled."""

import argparse

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
