"""A limit on how many generations are sent a second time, so that failures do not multiply the load."""

RESERVE = 3.0


class RetryBudget:
    """Each generation adds `share` of a retry, each retry takes a whole one, and at most `RESERVE` are saved up.

    So of n generations at most `share` * n + `RESERVE` are sent twice.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = RESERVE if share > 0 else 0.0

    def generation(self) -> None:
        """Add the share of one generation."""
        self._saved = min(RESERVE, self._saved + self._share)

    def take(self) -> bool:
        """Take a retry; return whether there was one."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
