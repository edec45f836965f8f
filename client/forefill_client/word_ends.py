"""Where words end, and how much of a text is confirmed: the server's rule, as far as a client needs it.

A client decides when to flush, and the server where the confirmed text ends; a simulated user names the end itself.
"""

import unicodedata
from typing import Final

RUN: Final = 4
"""Code points at the end of an unbroken run (a long word, hex, base64) that a flush leaves unconfirmed."""
APOSTROPHES: Final = frozenset("'\u2019")
"""The typewriter's and the typographer's."""

_WITHOUT_SPACES: Final = (
    range(0x0E00, 0x0F00),  # Thai, Lao
    range(0x1000, 0x10A0),  # Myanmar
    range(0x1780, 0x1800),  # Khmer
    range(0x1950, 0x1AB0),  # Tai Le, New Tai Lue, Khmer symbols, Buginese, Tai Tham
    range(0x1B00, 0x1B80),  # Balinese
    range(0x1BC0, 0x1C00),  # Batak
    range(0xA980, 0xAA00),  # Javanese, Myanmar Extended-B
    range(0xAA00, 0xAAE0),  # Cham, Myanmar Extended-A, Tai Viet
    range(0x11700, 0x11750),  # Ahom
)
_HANGUL: Final = (
    range(0x1100, 0x1200),
    range(0x3130, 0x3190),
    range(0xA960, 0xA980),
    range(0xAC00, 0xD800),
    range(0xFFA0, 0xFFDD),
)


def ends_word(char: str) -> bool:
    """Return whether a session that flushes by itself does so after this character.

    It does after white space, after punctuation, and after each character of a script that puts no spaces between
    words (Chinese, Japanese, Thai, Khmer, ...). It does not after characters that join words, such as the underscore,
    nor after an apostrophe, which is mostly inside a word (don't, l'eau); if it closes a quotation, the next character
    ends the word anyway.

    The server's rule is the same, except that an apostrophe ends a word there too.
    """
    if char.isspace() or _in(_WITHOUT_SPACES, char):
        return True
    category = unicodedata.category(char)
    if category.startswith("P"):
        return category != "Pc" and char not in APOSTROPHES
    return unicodedata.east_asian_width(char) in ("W", "F") and not _in(_HANGUL, char)


def confirmable(text: str) -> int:
    """Return the position after the last word end, or where the last RUN code points begin if no word ends in them."""
    run = max(0, len(text) - RUN)
    return max((end for end in range(len(text), run, -1) if ends_word(text[end - 1])), default=run)


def _in(ranges: tuple[range, ...], char: str) -> bool:
    return any(ord(char) in code_points for code_points in ranges)
