"""The notebook's word boundaries, by which the simulated typist confirms text.

The SDK and the server have a rule for all scripts (`forefill_client.word_ends`). FlushRule.WORD adds it to the
notebook's: `confirmable_by` is where the confirmed text of a FLUSH ends.
"""

from typing import Final

from ..word_ends import RUN, confirmable
from .typing_model import FlushRule

CONFIRMATION_BOUNDARIES: Final = frozenset(" \n\t.,;:!?()\"'")
"""The characters that end a word."""


def find_last_boundary(text: str) -> int:
    """Return the position after the last boundary character of `text`, in code points; 0 if it has none."""
    return max(text.rfind(boundary) + 1 for boundary in CONFIRMATION_BOUNDARIES)


def get_confirmable_text(current_text: str, already_confirmed: int) -> str:
    """Return the text that a FLUSH would newly confirm: from code point `already_confirmed` to the last boundary."""
    return current_text[already_confirmed : find_last_boundary(current_text)]


def confirmable_by(rule: FlushRule, text: str) -> int:
    """Return how many code points of `text` a FLUSH confirms by this rule."""
    boundary = find_last_boundary(text)
    return boundary if rule is FlushRule.DEBOUNCE else max(boundary, confirmable(text))


def flush_is_due(rule: FlushRule, text: str, already_confirmed: int) -> bool:
    """Return whether a FLUSH would confirm anything new; by FlushRule.WORD: a word, or enough of an unbroken run."""
    new = text[already_confirmed : confirmable_by(rule, text)]
    return bool(new) and (rule is FlushRule.DEBOUNCE or len(new) >= RUN or confirmable_by(rule, new) == len(new))
