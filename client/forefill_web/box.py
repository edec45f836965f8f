"""The draft as the browser's text box has it: pure.

Each edit says how long the draft is afterwards. If the bridge comes to another length, the browser is asked for the
whole draft, once, and edits that were on their way are passed over until it comes.
"""

from dataclasses import dataclass
from enum import Enum

from .messages import Edit


class Outcome(Enum):
    """What became of an edit."""

    DONE = "done"
    PASSED_OVER = "passed over"
    DIVERGED = "diverged"
    TOO_LONG = "too long"


@dataclass(slots=True)
class Box:
    """The draft, and whether the browser has been asked for it."""

    max_code_points: int
    draft: str = ""
    asked: bool = False

    def edit(self, edit: Edit) -> Outcome:
        """Carry out an edit, or leave the draft as it is."""
        if self.asked:
            return Outcome.PASSED_OVER
        there = len(self.draft)
        fits = edit.start <= edit.end <= there
        if not fits or there - (edit.end - edit.start) + len(edit.text) != edit.length:
            self.asked = True
            return Outcome.DIVERGED
        return self.replace(self.draft[: edit.start] + edit.text + self.draft[edit.end :])

    def replace(self, draft: str) -> Outcome:
        """Take the whole draft, or leave it as it is."""
        self.asked = False
        if len(draft) > self.max_code_points:
            return Outcome.TOO_LONG
        self.draft = draft
        return Outcome.DONE

    def clear(self) -> None:
        """Begin the next turn's draft."""
        self.draft = ""
        self.asked = False
