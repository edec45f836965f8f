"""Where the confirmed text of a draft ends, unless a FLUSH names its length: the one rule.

Confirmed text may end anywhere, since stable ids hold back what the tokenizer may still merge. What must not be
confirmed is what is about to change:

    text                                                   confirmed
    up to the last word end                                at once
    an unbroken run: a long word, hex, base64              what is older than its last `RUN` code points
    kana, bopomofo at the end                              not until something else follows, unless the client commits
    kana, bopomofo, Latin letters at the end               not until something else follows, if the client composes

A word ends after white space, after punctuation, and after every character of a script that puts no spaces between
words. Input methods compose: a user types sounds, and the input method puts words in their place. Some clients show the
sounds while they are composed, others send only the words; `Client` is learnt from a session's edits. No more than
`COMPOSED` code points are held back, however long the sounds.
"""

import unicodedata
from enum import Enum, auto

from .events import CharAdd, CharDelete, Edit, Replace

RUN = 4
"""Code points at the end of an unbroken run that are not confirmed: a typist corrects them, Korean composes them."""
COMPOSED = 32
"""The longest text under composition, and as much of an edit as shows whether an input method made it."""

_WITHOUT_SPACES = (
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
"""The scripts of Unicode's Line_Break=SA, and those of South East Asia that it handed over to AK, AP and AS."""

_HANGUL = (
    range(0x1100, 0x1200),
    range(0x3130, 0x3190),
    range(0xA960, 0xA980),
    range(0xAC00, 0xD800),
    range(0xFFA0, 0xFFDD),
)
"""Wide, but written with spaces between words."""

_SOUNDS = (
    range(0x3041, 0x3100),  # hiragana, katakana
    range(0x3100, 0x3130),  # bopomofo
    range(0x31A0, 0x31C0),  # bopomofo Extended
    range(0x31F0, 0x3200),  # katakana phonetic extensions
    range(0xFF66, 0xFFA0),  # half-width katakana
)
"""Letters that are typed to be converted."""

_BETWEEN_SYLLABLES = " '\u2019"
"""What input methods set between the syllables of Latin letters."""


class Client(Enum):
    """What a client's edits show of input methods."""

    UNKNOWN = auto()
    """Nothing yet."""
    COMMITS = auto()
    """It sends ideographs without having shown their sounds."""
    COMPOSES = auto()
    """It shows sounds and replaces them by words."""

    def after(self, draft: str, edit: Edit) -> "Client":
        """Return what is known after this edit of a draft; once a client has composed, it composes."""
        match edit:
            case CharAdd(new):
                start = end = len(draft)
            case Replace(start, end, new):
                pass
            case CharDelete():
                return self
        if self is Client.COMPOSES or len(draft) - start > COMPOSED:
            return self
        new = new[:COMPOSED]
        if start < end and any(map(_is_converted, new)) and all(map(_is_typed_to_be_converted, draft[start:])):
            return Client.COMPOSES
        return Client.COMMITS if 0 < start == len(draft) and any(map(_is_ideograph, new)) else self


def confirmable(text: str, client: Client = Client.UNKNOWN) -> int:
    """Return how many code points of a draft a FLUSH confirms that names no length."""
    run = max(0, len(text) - RUN)
    return min(run + last_boundary(text[run:]), settled(text, client))


def settled(text: str, client: Client = Client.UNKNOWN) -> int:
    """Return how many code points of a draft are followed by no text that may be under composition."""
    if client is Client.COMMITS:
        return len(text)
    held = _is_typed_to_be_converted if client is Client.COMPOSES else _is_sound
    end = len(text)
    while end > max(0, len(text) - COMPOSED) and held(text[end - 1]):
        end -= 1
    return len(text) - len(text[end:].lstrip(_BETWEEN_SYLLABLES))


def last_boundary(text: str) -> int:
    """Return the position after the last word end, or 0."""
    return max((text.rfind(char) + 1 for char in set(text) if _ends_word(char)), default=0)


def _ends_word(char: str) -> bool:
    if char.isspace() or _in(_WITHOUT_SPACES, char):
        return True
    category = unicodedata.category(char)
    if category.startswith("P"):
        return category != "Pc"  # the underscore joins words
    return unicodedata.east_asian_width(char) in ("W", "F") and not _in(_HANGUL, char)


def _is_sound(char: str) -> bool:
    return _in(_SOUNDS, char)


def _is_typed_to_be_converted(char: str) -> bool:
    return _is_sound(char) or char in _BETWEEN_SYLLABLES or _is_latin(char)


def _is_converted(char: str) -> bool:
    """Return whether an input method makes this of Latin letters or sounds."""
    return char.isalpha() and not _is_latin(char)


def _is_latin(char: str) -> bool:
    return char.isalpha() and (char.isascii() or unicodedata.name(char, "").startswith("LATIN"))


def _is_ideograph(char: str) -> bool:
    return unicodedata.category(char) == "Lo" and unicodedata.name(char, "").startswith("CJK")


def _in(ranges: tuple[range, ...], char: str) -> bool:
    return any(ord(char) in code_points for code_points in ranges)
