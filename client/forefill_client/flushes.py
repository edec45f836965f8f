"""The flushes of a turn and their results.

The caller knows a flush by the number under which it was first sent. If the drafts had diverged, it is sent again, and
the result of the later flush on the wire is its own; one flush on the wire may stand for several.
"""

from dataclasses import dataclass

from forefill.v1 import keystroke_pb2 as pb

from .errors import ForefillError
from .outcomes import FlushOutcome
from .report import FlushResult, flush_result_from_wire


@dataclass(slots=True)
class Flush:
    """One of the caller's flushes, with its result or its error if it has been answered."""

    seq: int
    result: FlushResult | None = None
    error: ForefillError | None = None

    @property
    def answered(self) -> bool:
        """Whether its result or its error is known."""
        return self.result is not None or self.error is not None


class Flushes:
    """The caller's flushes by number, and which of them each flush on the wire stands for."""

    def __init__(self) -> None:
        self._by_seq: dict[int, Flush] = {}
        self._waiting: dict[int, list[Flush]] = {}

    def get(self, seq: int) -> Flush | None:
        """Return the caller's flush with this number, or None if this turn has none."""
        return self._by_seq.get(seq)

    def results(self) -> tuple[FlushResult, ...]:
        """Return the results so far, in the order in which the flushes were sent."""
        return tuple(flush.result for flush in self._by_seq.values() if flush.result is not None)

    def sent(self, seq: int) -> None:
        """Record that the caller's flush was sent."""
        flush = self._by_seq[seq] = Flush(seq)
        self._waiting[seq] = [flush]

    def awaited(self, seq: int | None) -> bool:
        """Return whether a flush on the wire is still to be answered."""
        return seq in self._waiting

    def taken(self, seq: int) -> list[Flush]:
        """Remove and return the flushes that a flush on the wire stood for."""
        return self._waiting.pop(seq, [])

    def sent_again(self, seq: int, flushes: list[Flush]) -> None:
        """Record that a flush on the wire also stands for these."""
        self._waiting.setdefault(seq, []).extend(flushes)

    def answered(self, result: pb.FlushResult) -> list[FlushResult]:
        """Give a result to the flushes that a flush on the wire stood for, and return these results."""
        results: list[FlushResult] = []
        for flush in self.taken(result.seq):
            flush.result = flush_result_from_wire(result, flush.seq)
            results.append(flush.result)
        return results

    def supersede(self) -> None:
        """Settle all that are still to be answered."""
        for seq in list(self._waiting):
            for flush in self.taken(seq):
                superseded(flush)

    def begin_turn(self) -> None:
        """Forget the flushes of the turn before, except those that are still to be answered."""
        self._by_seq = {seq: flush for seq, flush in self._by_seq.items() if not flush.answered}


def superseded(flush: Flush) -> None:
    """Settle a flush that a later event made unnecessary."""
    flush.result = FlushResult(flush.seq, 0, 0, 0, 0, FlushOutcome.DEFERRED)
