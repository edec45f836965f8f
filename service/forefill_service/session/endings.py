"""How a draft ends: the kind of its last character, and its last word."""

from enum import Enum, auto

DEFAULT_FINAL_CHARACTERS = ".?!\u2026\u3002\uff0e\uff1f\uff01\uff61"
LONGEST_WORD = 16


class Ending(Enum):
    """The kind of a draft's last character."""

    FINAL = auto()
    SEMICOLON = auto()
    CLOSING = auto()
    COMMA = auto()
    """A comma, colon or apostrophe: what stands in mid-sentence."""
    LETTER = auto()
    DIGIT = auto()
    SPACE = auto()
    NEWLINE = auto()
    OTHER = auto()


_MARKS = {
    **dict.fromkeys(";\uff1b", Ending.SEMICOLON),
    **dict.fromkeys(')]}>"`\u00bb\u201d\u300d\u300f\uff09\u3011\u300b', Ending.CLOSING),
    **dict.fromkeys(",:'\u2019\uff0c\u3001\uff1a", Ending.COMMA),
    **dict.fromkeys("\n\r", Ending.NEWLINE),
}


def ending_of(text: str, final_characters: str = DEFAULT_FINAL_CHARACTERS) -> Ending:
    """Return the kind of a text's last character; an empty text counts as OTHER."""
    last = text[-1:]
    if last and last in final_characters:
        return Ending.FINAL
    if last in _MARKS:
        return _MARKS[last]
    if last.isalpha():
        return Ending.LETTER
    if last.isdigit():
        return Ending.DIGIT
    return Ending.SPACE if last.isspace() else Ending.OTHER


def last_word_length(text: str) -> int:
    """Return the number of characters since the last space or new line, at least 1 and at most 16."""
    words = text[-LONGEST_WORD:].split()
    return len(words[-1]) if words else 1
