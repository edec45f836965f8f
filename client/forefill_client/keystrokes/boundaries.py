"""Where a word ends, by two rules: the notebook's, and the SDK's own.

The notebook's (CONFIRMATION_BOUNDARIES) says what of a draft is confirmed, and is the simulated typist's. The SDK's
(`ends_word`) says when a session flushes by itself; what is confirmed then is left to the server.
"""

import unicodedata
from typing import Final

CONFIRMATION_BOUNDARIES: Final = frozenset(" \n\t.,;:!?()\"'")
"""The notebook's characters that end a word."""
APOSTROPHES: Final = frozenset("'\u2019")
"""The typewriter's and the typographer's."""


def find_last_boundary(text: str) -> int:
    """Return the index after the last boundary character of `text`, in code points; 0 where it has none."""
    return max(text.rfind(boundary) + 1 for boundary in CONFIRMATION_BOUNDARIES)


def get_confirmable_text(current_text: str, already_confirmed: int) -> str:
    """Return what a FLUSH would confirm anew: from `already_confirmed`, in code points, to the last boundary, or ""."""
    return current_text[already_confirmed : find_last_boundary(current_text)]


def ends_word(char: str) -> bool:
    """Tell whether a session that flushes by itself does so once this character is typed.

    These do: white space, punctuation, and wide characters, since scripts that put no spaces between words (Chinese,
    Japanese) would otherwise never flush. These do not: what joins words, such as the underscore, and apostrophes. An
    apostrophe mostly stands inside a word (don't, l'eau), and one that closes a quotation is followed by a character
    that ends a word anyway.

    Each of them ends a word for the server too, so that such a flush always confirms something new.
    """
    if char.isspace():
        return True
    category = unicodedata.category(char)
    if category.startswith("P"):
        return category != "Pc" and char not in APOSTROPHES
    return unicodedata.east_asian_width(char) in ("W", "F")
