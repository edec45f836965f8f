"""How much of a draft is confirmed, how much of it is cached, and whether its answer is begun: what a face colours.

an edit at a position           nothing from there on counts any more, and no answer to the draft is begun
the result of a flush           says how much is confirmed, and how much of that is cached
an answer is begun, or is over  as it says
submit                          an empty draft: nothing counts
"""

from dataclasses import dataclass, replace
from typing import Self

from forefill_client.report import FlushResult, PregenerationUpdate


@dataclass(frozen=True, slots=True)
class DraftMarks:
    """Leading code points of the draft that are confirmed, and that are cached; and whether its answer is begun."""

    confirmed: int = 0
    cached: int = 0
    begun: bool = False

    def edited(self, start: int) -> Self:
        """Return the marks after an edit whose first changed code point is at `start`."""
        return replace(self, confirmed=min(self.confirmed, start), cached=min(self.cached, start), begun=False)

    def flushed(self, result: FlushResult, draft_code_points: int) -> Self:
        """Return the marks after the result of a flush, of a draft that may have become shorter since.

        If the server cannot tell how much is cached, what was cached before still is.
        """
        confirmed = min(result.confirmed_code_points, draft_code_points)
        cached = self.cached if result.cached_code_points is None else result.cached_code_points
        return replace(self, confirmed=max(self.confirmed, confirmed), cached=min(cached, draft_code_points))

    def guessed(self, update: PregenerationUpdate) -> Self:
        """Return the marks after an answer to the draft was begun, or came to an end as such."""
        return replace(self, begun=update.outcome is None)
