"""How many generations may be sent a second time, so that trouble does not make more load than there was."""

RESERVE = 3.0


class RetryBudget:
    """Each generation pays in `share` of a retry, each retry takes a whole one; at most `RESERVE` are saved up.

    So of n generations at most `share` * n + `RESERVE` are sent twice.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = RESERVE if share > 0 else 0.0

    def generation(self) -> None:
        """Count a generation."""
        self._saved = min(RESERVE, self._saved + self._share)

    def take(self) -> bool:
        """Take a retry, if there is one."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
