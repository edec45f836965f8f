"""The choice of a replica for a session that opens: pure, so that `forefill plan` counts on the very same function.

Hashing alone is luck: of many replicas the fullest has several times its share. Looking at a few candidates takes most
of the luck away (Azar, Broder, Karlin, Upfal 1994; Mitzenmacher 1996), and a bound the rest (Mirrokni, Thorup,
Zadimoghaddam 2016, "Consistent hashing with bounded loads"):

    affinity   candidates, in the key's order   chosen                      full at this much of its share, but at
    session    the first 4                      the least loaded of them    1.1     1 session at least
    prompt     the first alone                  that one                    1.25    4 sessions at least

If what would be chosen is full, the key's next replica that is not full is chosen. All copies of forefill agree on a
key's order, and each goes by the sessions that it has itself. Requests of others count as sessions only as far as they
are more than usual (`_usual`), for example plain traffic to one server: a report is a second old, and a typist has a
request in the engine one moment and none the next. If each counted, they would only add luck.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

SOME_REQUESTS: Final = 4

T = TypeVar("T")


class Load(NamedTuple):
    """The load of a replica: our open sessions, our requests in the engine, and the requests of others there."""

    sessions: int
    requests: int = 0
    others: int = 0

    @property
    def busy(self) -> int:
        """The requests in steps of a few: one or two are no reason to prefer another of two with equally many sessions.

        So a session that resumes without a token mostly finds its place, too, if there is little to do.
        """
        return (self.requests + self.others) // SOME_REQUESTS


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
        usual = _usual([load.others for load in loads])
        counts = [load.sessions + max(0, load.others - usual) for load in loads]
        most = self.most_sessions((sum(counts) + 1) / len(order))
        candidates = range(min(self.candidates, len(order)))
        best = min(candidates, key=lambda number: (counts[number], loads[number].busy))
        if counts[best] >= most:
            best = next(number for number, count in enumerate(counts) if count < most)
        return order[best]


def _usual(others: Sequence[int]) -> int:
    """Return how many requests of others on one replica may be chance: twice what the lowest quarter has, and 4."""
    return 2 * sorted(others)[(len(others) - 1) // 4] + 4


RULES: Final = {"session": Rule(4, most_of_share=1.1), "prompt": Rule(1, most_of_share=1.25, at_least=4)}
"""By the setting `affinity`."""
