"""Whether a remote engine is alive, judged by its signs of life: pure, no clock, no await.

    a request is refused a connection          it is down, at once
    a request fails or stays unanswered        a probe is sent at once, and its result decides
    a probe is answered                        it is up
    a probe fails                              it is down
    a probe finds no room, or is unanswered    it is down, unless there was a sign of life recently: then it is busy

Only a probe brings an engine back, so no user's request is spent on finding out. A router is down only after several
probes in a row have failed, each under another key, without a sign of life between them: the failure of one key says
nothing about the others.
"""

from dataclasses import dataclass

ROUTER_MISSES = 3


@dataclass(slots=True)
class Pulse:
    """The state of one engine; times are seconds of one clock. It counts as down until a probe is answered.

    `single_server` is False for a router; `misses` is the number of probes in a row that were not answered.
    """

    single_server: bool = True
    up: bool = False
    heard_at: float = float("-inf")
    misses: int = 0

    def heard(self, now: float) -> None:
        """Record a sign of life: a part of an answer, or work done for others."""
        self.heard_at = now

    def answered(self, now: float) -> bool:
        """Record that a probe was answered; return whether the engine was down before."""
        came_up = not self.up
        self.up, self.heard_at, self.misses = True, now, 0
        return came_up

    def refused(self) -> None:
        """Record that a connection was refused."""
        if self.single_server:
            self.up = False

    def failed(self, quiet_since: float) -> None:
        """Record that a probe failed; for a router this counts unless there was a sign of life since `quiet_since`."""
        if self.single_server:
            self.up = False
        self.probe_unanswered(quiet_since)

    def probe_unanswered(self, quiet_since: float) -> None:
        """Record that a probe found no room or was not answered; this counts unless there was a sign of life since."""
        self.misses += 1
        enough = self.misses >= (1 if self.single_server else ROUTER_MISSES)
        if enough and self.heard_at < quiet_since:
            self.up = False
