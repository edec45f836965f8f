"""Whether a remote engine is alive, by what is heard of it: pure, no clock, no await.

    a request is refused a connection           it is down, at once
    what we asked fails or stays unanswered     the probe is sent at once, and its verdict counts
    the probe is answered                       it is up
    the probe fails                             it is down
    the probe finds no room, or stays           it is down, unless the engine was heard of since shortly before: then
    unanswered                                  it is busy

Only a probe brings an engine back, so no user's request is spent on finding out. A router is down only when several
probes in a row found nobody, each under another key, and nothing was heard meanwhile: what happens to one key says
nothing of the others.
"""

from dataclasses import dataclass

ROUTER_MISSES = 3


@dataclass(slots=True)
class Pulse:
    """What is known of one engine; times are seconds of one clock. It counts as down until a probe was answered.

    `decisive` is False for a router; `misses` is how many probes in a row found nobody.
    """

    decisive: bool = True
    up: bool = False
    heard_at: float = float("-inf")
    misses: int = 0

    def heard(self, now: float) -> None:
        """Take it that a sign of life came: a part of an answer, or work done for others."""
        self.heard_at = now

    def answered(self, now: float) -> bool:
        """Take it that a probe was answered; return whether the engine has come up with that."""
        came_up = not self.up
        self.up, self.heard_at, self.misses = True, now, 0
        return came_up

    def refused(self) -> None:
        """Take it that no connection was to be had."""
        if self.decisive:
            self.up = False

    def failed(self, quiet_since: float) -> None:
        """Take it that a probe failed; of a router it counts unless something was heard since then."""
        if self.decisive:
            self.up = False
        self.unserved(quiet_since)

    def unserved(self, quiet_since: float) -> None:
        """Take it that a probe found no room or no answer; it counts unless something was heard since then."""
        self.misses += 1
        enough = self.misses >= (1 if self.decisive else ROUTER_MISSES)
        if enough and self.heard_at < quiet_since:
            self.up = False
