"""The text in the user's box: its edits and its word boundaries. Positions are code points."""

import unicodedata
import zlib

from ..errors import Reason, Refusal
from .events import CharAdd, CharDelete, Edit, Replace

_CHUNK = 512


def edited(text: str, edit: Edit) -> tuple[str, int]:
    """Return the text after an edit and the first position that may have changed.

    Raises Refusal(POSITION_OUT_OF_RANGE) if a Replace lies outside the text.
    """
    match edit:
        case CharAdd(added):
            return text + added, len(text)
        case CharDelete(count):
            kept = max(0, len(text) - count)
            return text[:kept], kept
        case Replace(start, end, new):
            if not start <= end <= len(text):
                raise Refusal(Reason.POSITION_OUT_OF_RANGE)
            return text[:start] + new + text[end:], start


def checksum(text: str) -> int:
    """Return the CRC-32 of the text's UTF-8 bytes, as zlib and PNG compute it."""
    return zlib.crc32(text.encode())


def last_boundary(text: str) -> int:
    """Return the position after the last word boundary, or 0.

    A word ends after white space, after punctuation, and after every wide character: scripts that put no spaces
    between words (Chinese, Japanese) would otherwise never confirm anything.
    """
    for end in range(len(text), 0, -_CHUNK):
        chunk = text[max(0, end - _CHUNK) : end]
        found = max((chunk.rfind(char) for char in set(chunk) if _ends_word(char)), default=-1)
        if found >= 0:
            return end - len(chunk) + found + 1
    return 0


def _ends_word(char: str) -> bool:
    if char.isspace():
        return True
    category = unicodedata.category(char)
    if category.startswith("P"):
        return category != "Pc"  # the underscore joins words
    return unicodedata.east_asian_width(char) in ("W", "F")
