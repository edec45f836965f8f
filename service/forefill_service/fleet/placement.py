"""The choice of a replica for a session that opens: pure, so that `forefill plan` counts on the very same function.

Hashing alone is luck: of many replicas the fullest has several times its share. Looking at a few candidates takes most
of the luck away (Azar, Broder, Karlin, Upfal 1994; Mitzenmacher 1996), and a bound the rest (Mirrokni, Thorup,
Zadimoghaddam 2016, "Consistent hashing with bounded loads"):

    affinity   candidates, in the key's order   chosen                      full at this much of its share, but at
    session    the first 4                      the least loaded of them    1.1     1 session at least
    prompt     the first alone                  that one                    1.25    4 sessions at least

If what would be chosen is full, the key's next replica that is not full is chosen. All copies of forefill agree on a
key's order, and each goes by the sessions that it has itself, plus what the replicas report of other work.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")


class Load(NamedTuple):
    """The load of a replica; a smaller one sorts first.

    `sessions` are those that are open, and each request of others counts as one. `requests` are our own in the engine:
    they come and go within seconds, so they only decide between equals.
    """

    sessions: int
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """How many of a key's replicas are candidates, and when one is full.

    It is full if it has `most_of_share` times its share of the sessions, and `at_least` so many: fewer sessions with
    the same messages are not worth a second copy of these in another cache.
    """

    candidates: int
    most_of_share: float
    at_least: int = 1

    def most_sessions(self, share: float) -> int:
        """Return with how many sessions a replica is full, if all have `share` on average, the new one included."""
        return max(self.at_least, math.ceil(self.most_of_share * share))

    def choose(self, order: Sequence[T], loads: Sequence[Load]) -> T:
        """Return one of the replicas, which are in the key's order; `loads` are theirs. There is at least one."""
        most = self.most_sessions((sum(load.sessions for load in loads) + 1) / len(order))
        best = min(range(min(self.candidates, len(order))), key=loads.__getitem__)
        if loads[best].sessions >= most:
            best = next(number for number, load in enumerate(loads) if load.sessions < most)
        return order[best]


RULES: Final = {"session": Rule(4, most_of_share=1.1), "prompt": Rule(1, most_of_share=1.25, at_least=4)}
"""By the setting `affinity`."""
