"""Where a draft may be confirmed: after a character that ends a word."""

from typing import Final

CONFIRMATION_BOUNDARIES: Final = frozenset(" \n\t.,;:!?()\"'")
"""The characters that end a word."""


def find_last_boundary(text: str) -> int:
    """Return the index after the last boundary character of `text`, in code points; 0 where it has none."""
    return max(text.rfind(boundary) + 1 for boundary in CONFIRMATION_BOUNDARIES)


def get_confirmable_text(current_text: str, already_confirmed: int) -> str:
    """Return what a FLUSH would confirm anew: from `already_confirmed`, in code points, to the last boundary, or ""."""
    return current_text[already_confirmed : find_last_boundary(current_text)]
