"""The attacks, by name; A1 and so on are the rows of attacks.md."""

import zlib
from collections.abc import Awaitable, Callable

from forefill.v1 import keystroke_pb2 as pb

from tests.benchmarks.stalls.attacker import Attacker
from tests.benchmarks.stalls.messages import (
    A_MESSAGE,
    EMPTY_LIST,
    EMPTY_OBJECT,
    LETTERS,
    ODD,
    WORDS,
    Event,
    filled,
    flush,
    opening,
    paste,
    rewrite,
    said,
    stops,
    tool,
    variables,
)

LARGEST_OPEN = 262_000
"""A bit less than the largest Open that is taken, in bytes: it depends on the context of the server's model."""
DRAFT = 65_536
MB4 = 4 * 1024 * 1024 - 200

Attack = Callable[[Attacker], Awaitable[None]]


def opens(*parts: bytes, times: int = 1) -> Attack:
    message = opening(*parts)
    return lambda attacker: attacker.open_many(message, times)


def floods(text: str, streams: int, every: float = 0.1, *events: Event) -> Attack:
    return lambda attacker: attacker.flood(text, streams, every, *events)


ATTACKS: dict[str, Attack] = {
    "A1: Open of 800,000 messages, 4 MB": opens(A_MESSAGE * 800_000),
    "A1: Open of 4 MB of spaces": opens(said(" " * MB4)),
    "A1: of 4 MB of combining marks": opens(said(filled("\u0301", MB4))),
    'A1: of 4 MB of "a"': opens(said("a" * MB4)),
    "A1: of 4 MB of words": opens(said(filled(WORDS, MB4))),
    "A1: 3 Opens of 60,000 messages each": opens(A_MESSAGE * 60_000, times=3),
    "A1: 6 such, each cancelled after 0.5 s": lambda it: it.open_and_cancel(opening(A_MESSAGE * 60_000), 6, 0.5),
    "the largest Open: messages": opens(A_MESSAGE * (LARGEST_OPEN // 5)),
    "the largest Open: 16,000 messages": opens(A_MESSAGE * 16_000),
    'the largest Open: "a"': opens(said("a" * LARGEST_OPEN)),
    "the largest Open: spaces": opens(said(" " * LARGEST_OPEN)),
    "the largest Open: combining marks": opens(said(filled("\u0301", LARGEST_OPEN))),
    "the largest Open: words": opens(said(filled(WORDS, LARGEST_OPEN))),
    "the largest Open: words, 20 at once": opens(said(filled(WORDS, LARGEST_OPEN)), times=20),
    "an Open that is taken, of 7,000 tokens, 20 at once": opens(said(filled(WORDS, 30_000)), times=20),
    "A2: variables of 1,000,000 empty lists, 4 MB": opens(variables(EMPTY_LIST, 4_000_000)),
    "A2: of 690,000 empty objects, 2.8 MB": opens(variables(EMPTY_OBJECT, 2_760_000)),
    "A2: of 16,000 empty objects, 64 KB, 8 streams": opens(variables(EMPTY_OBJECT, 64_000), times=8),
    "A2: of 1,000 empty objects, 4 KB, 8 streams": opens(variables(EMPTY_OBJECT, 4_050), times=8),
    "a tool of 85,000 empty objects, 250 KB, 8 streams": opens(tool("{},", 250_000), times=8),
    "A7: FLUSHes of 65,536 odd letters, 1 stream": floods(filled(ODD, 3 * DRAFT), 1, 0.02),
    "A7: the same, 20 streams": floods(filled(ODD, 3 * DRAFT), 20, 0.02),
    "A7: 10 FLUSHes a second of 65,536 emoji, 2 streams": floods("\N{GRINNING FACE}" * DRAFT, 2),
    "A7: the same of words": floods(filled(WORDS, DRAFT), 2),
    "10 edits and FLUSHes a second at the beginning of 30,000 letters, 2 streams": floods(
        filled(WORDS, 30_000),
        2,
        0.1,
        paste("x"),
        flush(30_000, zlib.crc32(("x" + filled(WORDS, 30_000)[1:]).encode())),
    ),
    "pastes of 60,000 letters with accents, 10 a second, 2 streams": floods(
        "x",
        2,
        0.1,
        paste(filled(LETTERS, 2 * 60_000)),
        lambda: pb.KeystrokeEvent(char_delete=pb.CharDelete(count=DRAFT)),
    ),
    "Rewrites of 16,000 messages, 5 a second, 2 streams": floods("x", 2, 0.2, rewrite(16_000)),
    "A24: 16 stop texts of 250 KB": opens(stops(16, 250_000)),
}
