"""The progress of a run: the share that is done, and the time that is left."""

import time
from collections.abc import Callable

from forefill_client.terminal import Terminal

BAR_COLUMNS = 24
SECONDS_A_MINUTE = 60


class Progress:
    """A bar on the live line. Work is given as the seconds that it was planned to take."""

    def __init__(self, terminal: Terminal, planned_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._terminal = terminal
        self._planned = max(planned_seconds, 1e-9)
        self._done = 0.0
        self._clock = clock
        self._began_at = clock()

    def draw(self, label: str, within_seconds: float = 0.0) -> None:
        """Show `label`, the share that is done, and the time that is left; `within_seconds` counts as done already."""
        done = self._done + within_seconds
        self._terminal.draw(f"{bar(done / self._planned)} {label}", self._left(done))

    def did(self, planned_seconds: float) -> None:
        """Count work as done."""
        self._done += planned_seconds

    def say(self, line: str) -> None:
        """Print a line that stays, unless there is a bar to see."""
        if not self._terminal.live:
            self._terminal.say(line)

    def _left(self, done: float) -> str:
        slowness = (self._clock() - self._began_at) / done if done else 1.0
        return left((self._planned - done) * max(slowness, 0.0))


def bar(share: float) -> str:
    """Return a bar filled to `share` (0 to 1), and the share in percent."""
    share = min(max(share, 0.0), 1.0)
    filled = round(share * BAR_COLUMNS)
    return f"[{'#' * filled}{'.' * (BAR_COLUMNS - filled)}] {share:4.0%}"


def left(seconds: float) -> str:
    """Return the time that is left, in seconds or minutes."""
    seconds = max(seconds, 0.0)
    return f"{seconds:.0f} s left" if seconds < SECONDS_A_MINUTE else f"{seconds / SECONDS_A_MINUTE:.0f} min left"
