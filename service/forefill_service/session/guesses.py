"""When the answer to a draft is begun before SUBMIT: the one rule, and what past guesses teach it."""

from dataclasses import dataclass

LONGEST_PAUSE_FACTOR = 16


@dataclass(slots=True)
class Guesses:
    """How often a pause in one draft may be taken for its end: `tries_per_draft` times.

    If `adaptive`, a session that was guessed wrong twice in a row has to pause twice as long the next time, and twice
    as long again after each further wrong guess, to 16 times; one right guess, and it is the set pause again.
    """

    tries_per_draft: int
    adaptive: bool
    tries: int = 0
    wrong_in_a_row: int = 0

    @property
    def may_try(self) -> bool:
        """Whether the draft may be tried again."""
        return self.tries < self.tries_per_draft

    @property
    def pause_factor(self) -> int:
        """How many times the set pause must have passed."""
        return min(LONGEST_PAUSE_FACTOR, 2 ** max(0, self.wrong_in_a_row - 1)) if self.adaptive else 1

    def for_next_draft(self) -> "Guesses":
        """Return the guesses of the next draft: what the session's past guesses taught is kept."""
        return Guesses(self.tries_per_draft, self.adaptive, wrong_in_a_row=self.wrong_in_a_row)

    def begun(self) -> None:
        """Count an answer that is begun: a wrong guess, until it comes true."""
        self.tries += 1
        self.wrong_in_a_row += 1

    def came_true(self) -> None:
        """Record that SUBMIT asks for what was begun."""
        self.wrong_in_a_row = 0


def begin_at(draft: str, changed_at: float, guesses: Guesses, pause_seconds: float) -> float | None:
    """Return when the answer to a draft is begun if it does not change before; None: not for this draft.

    This is the one rule that decides when an answer is begun. Times are seconds of one clock.
    """
    if not draft or not guesses.may_try:
        return None
    return changed_at + pause_seconds * guesses.pause_factor
