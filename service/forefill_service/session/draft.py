"""The text in the user's box and its edits. Positions are code points."""

import zlib

from ..errors import Reason, Refusal
from .events import CharAdd, CharDelete, Edit, Replace


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
