"""The notebook's word boundaries, by which the simulated typist confirms text.

The SDK and the server have a rule of their own, for all scripts: see `ends_word` in `forefill_client.draft`.
"""

from typing import Final

CONFIRMATION_BOUNDARIES: Final = frozenset(" \n\t.,;:!?()\"'")
"""The characters that end a word."""


def find_last_boundary(text: str) -> int:
    """Return the position after the last boundary character of `text`, in code points; 0 if it has none."""
    return max(text.rfind(boundary) + 1 for boundary in CONFIRMATION_BOUNDARIES)


def get_confirmable_text(current_text: str, already_confirmed: int) -> str:
    """Return the text that a FLUSH would newly confirm: from code point `already_confirmed` to the last boundary."""
    return current_text[already_confirmed : find_last_boundary(current_text)]
